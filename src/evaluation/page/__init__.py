"""A page in the browser, on this machine alone: an image, what networks, CRFs and fusion rules make of it."""
