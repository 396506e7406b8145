"""Rows of numbers as vector registers, and how functions of them are compiled."""
