"""SegLab: compare semantic-segmentation choices on PASCAL VOC2012 and be able to believe the table."""

__version__ = "0.1.0"
