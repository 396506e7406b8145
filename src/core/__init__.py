"""What knows nothing of segmentation: commands, configs, files, processes, the machine."""
