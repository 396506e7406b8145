"""Image files, masks, and which of them make up a data set."""
