"""What a trained network is on disk: a checkpoint, or a folder to share; tensors and plain values, never code."""
