"""How certain a table is: intervals of rows, tests of differences, the spread of seeds. Pure NumPy and SciPy."""
