"""Figures and tables of selections and results."""
