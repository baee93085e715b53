"""Scores of predictions against dense labels.

``evaluate`` scores a folder and writes the summary, ``metrics`` counts voxels (and nothing else
does), ``score_table`` prints a summary. The metrics of a case are the table in
:mod:`~nnunet_sparse.evaluation.case_metrics`.
"""
