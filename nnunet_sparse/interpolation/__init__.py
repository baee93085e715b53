"""Filling the slices between annotated ones: a sparse label becomes a dense one.

``request`` is a way of doing it with all its settings, ``methods`` are what it chooses from,
``shape`` the one that annotators are shown, ``dense_label`` is the result with its provenance. One
method moves labels by a network:
``interpolator_request`` and ``interpolator_presets`` say which, ``network`` is it, ``slice_stack``
what it sees, ``warp`` and ``propagation`` how labels are moved. Another one, ``network_method``,
takes what a trained network predicts (:mod:`nnunet_sparse.prediction`). What they have in common is
``method``. ``interpolation_options`` are the options of commands.
"""
