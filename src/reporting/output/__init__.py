"""A comparison as text, page, figures, and on W&B."""
