"""Mean field in torch: on any device, and with kernels of its own in Triton on CUDA."""
