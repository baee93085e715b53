"""Training recipes: everything about a training but the data, the patch and the batch size."""
