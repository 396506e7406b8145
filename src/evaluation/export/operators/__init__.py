"""What torch cannot export as it is, as operators that ONNX has."""
