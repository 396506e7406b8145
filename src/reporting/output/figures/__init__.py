"""Figures of a comparison, and of the curves of a training."""
