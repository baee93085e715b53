"""What a selection shows: pictures of it, and how well it stands for the other slices.

``coverage`` measures how well the chosen slices represent the others, ``selection_figures`` draws
that and the slices. ``show_selection`` is the command for both. Others may use ``dataset_pictures``
(:func:`draw_selection`, :func:`draw_predictions`), which draws a sparse data set and predictions.
"""
