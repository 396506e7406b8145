"""Training, sweeps, and what watches them."""
