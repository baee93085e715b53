"""What people look at: reports of experiments, of interpolated labels and of selections.

``grid`` holds the report of an experiment and the advice on a budget, ``interpolation`` the quality
of interpolated labels, ``selection`` pictures of the slices that were chosen. They only read what
the packages below wrote, and nothing below imports them. They share ``tables`` (:class:`Table`,
written as Markdown, CSV and LaTeX; :func:`mean_and_deviation`) and ``report_folder``
(:func:`new_report`: a report appears whole or not at all). The demo draws with
``selection.dataset_pictures``.
"""
