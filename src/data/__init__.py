"""Data sets in the PASCAL VOC layout: where they come from, how they are read, augmented and served."""
