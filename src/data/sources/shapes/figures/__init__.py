"""The things that are drawn."""
