"""A trained network labels images that have no truth: one, a folder of them, a video, or in a notebook."""
