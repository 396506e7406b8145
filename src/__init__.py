"""SegLab: compare semantic-segmentation choices, and be able to believe the table."""

__version__ = "0.2.0"
