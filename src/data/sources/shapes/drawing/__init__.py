"""Pens, paints, textures and backgrounds."""
