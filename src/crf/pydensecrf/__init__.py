"""What pydensecrf offers, under its names.

Put the library's name before `pydensecrf` where that is imported; or, where code cannot be changed, put this package
in its place: `sys.modules["pydensecrf"] = permutocrf.pydensecrf`.
"""
