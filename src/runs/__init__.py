"""Runs on disk, and the checks of configs."""
