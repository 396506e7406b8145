"""A comparison as text, as a page, as figures, and on W&B."""
