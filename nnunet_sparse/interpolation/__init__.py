"""Filling the slices between annotated ones: a sparse label becomes a dense one."""
