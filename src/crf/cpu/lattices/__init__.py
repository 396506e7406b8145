"""The permutohedral lattice on the CPU."""
