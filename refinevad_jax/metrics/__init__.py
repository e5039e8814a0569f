"""The metrics of the field: NumPy arrays in, numbers out."""
