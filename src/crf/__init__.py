"""Dense conditional random fields: the model, and the engines that run it."""
