"""Files: written whole, read with care, and made by one process at a time. Imports no torch."""
