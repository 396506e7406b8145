"""Tables and pictures made from run folders. Imports nothing from training."""
