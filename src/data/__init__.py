"""Data sets: where they come from, how images and masks are read, split, augmented and served."""
