"""Sweeps: what their jobs will cost and can find, and how they run."""
