"""Training and sweeps, and callbacks that watch them."""
