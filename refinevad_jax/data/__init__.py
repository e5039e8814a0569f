"""Dataset folder to arrays, batches and categories."""
