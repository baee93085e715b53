"""Annotation campaigns: volumes without labels, and which of their slices are to be annotated."""
