"""Dense conditional random fields: exact mean field on the permutohedral lattice, with NumPy and Numba alone."""

__version__ = "0.1.0"
