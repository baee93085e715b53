"""Experiments with many trainings: their file, their steps, and the commands that run them."""
