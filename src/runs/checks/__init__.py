"""Checks of configs."""
