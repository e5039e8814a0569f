"""Losses, the optimizer, the training step and loop, checkpoints."""
