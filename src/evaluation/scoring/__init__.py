"""A network or kept logits against the truth: from images to counts, and the files that hold them."""
