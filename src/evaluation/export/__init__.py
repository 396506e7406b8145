"""A trained network for others: an ONNX file that is scored before it counts, or a folder with a model card."""
