"""Experiments with many trainings: their file, their jobs, and the commands that run them.

An *experiment* is what ``grid.yaml`` says (its keys are those of ``experiment``, ``configuration``,
``filling``, ``rounds`` and ``exclusion``); ``open_grid`` reads it. ``cells`` are its variants, of
some ``cell_kinds``, and trainings, ``taught_cells`` those that need networks of others, ``jobs``
what is to be done and in which order, ``job_records`` what has been done, ``results`` the scores,
``scored_labels`` the labels that count. A *step* is a kind of job (as ``train``); the work of each
is a class in a file ``*_work.py``. ``overview`` is what ``nnsparse_grid plan`` tells,
``yaml_lines`` reads YAML with line numbers, ``grid_options`` are the options of commands.
"""
