"""Networks and weights from elsewhere: timm, segmentation_models.pytorch, and the runs of this project."""
