"""A look at a data set before training: what is there, and what is wrong with it."""
