"""The dataset folder: written, and summed up."""
