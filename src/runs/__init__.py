"""What a run is on disk, and the checks of what is asked for."""
