"""Mean field on the CPU in Numba."""
