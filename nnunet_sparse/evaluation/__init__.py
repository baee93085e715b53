"""Scores of predictions against dense labels.

``evaluate`` scores a folder and writes the summary, ``metrics`` counts voxels (and nothing else
does), ``surface_metrics`` measures distances, ``case_metrics`` is the table of the metrics of a
case, ``score_table`` prints a summary.
"""
