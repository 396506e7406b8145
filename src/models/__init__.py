"""Networks: backbones, DeepLab heads, and where their weights come from."""
