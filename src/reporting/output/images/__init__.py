"""The error browser: a page on which the images of a table are sorted, and their panels looked at."""
