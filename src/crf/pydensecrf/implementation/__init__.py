"""What is behind the names of pydensecrf."""
