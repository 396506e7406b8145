"""What all commands have in common. Imports no torch."""
