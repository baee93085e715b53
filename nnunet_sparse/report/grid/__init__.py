"""The report of an experiment: tables, figures, findings, a page, and advice on a budget.

``grid_report`` writes the report (:func:`write_report`), ``advice`` says how to spend a budget, and
``campaign_advice`` the hours that are left for a campaign; the ``*_command`` modules are their
commands. What others may use as well:
``panels`` (:func:`panels`, :class:`Panel`, :func:`asked_trainings`) gives the trainings of each
task as one table, done or not, with the columns of ``factor_columns``; ``paired_statistics``
compares trainings that differ in one thing, and ``over_tasks`` sums tasks up; ``score_surface``
predicts scores between those that were measured. ``paper_tables`` makes tables of panels,
``paired_findings`` that of the verdicts; ``kept_results`` keeps results in a file, of which
``result_tables`` makes tables again. ``paper_figures`` and ``budget_plots`` make figures of
``plot``; ``page`` and ``slice_viewer`` show everything in one HTML file. ``round_lines`` are the
scores after rounds of annotation, which the other ``round_*`` and ``foreground_efficiency`` compare
and show. ``annotation_cost`` and ``mask_quality`` measure data sets of an experiment, once each.
"""
