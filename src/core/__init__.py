"""Code that knows nothing of segmentation: commands, configs, files, processes, the machine."""
