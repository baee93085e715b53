"""Scores of predictions against dense labels, and the command ``nnsparse_evaluate``."""
