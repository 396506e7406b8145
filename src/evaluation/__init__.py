"""Scoring of trained networks, and what it needs."""
