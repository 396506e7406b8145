"""What pydensecrf offers, under its names: put the library's name before `pydensecrf` where it is imported."""
