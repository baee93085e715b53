"""Annotating a campaign slice by slice: a session, and the window that shows it.

No other package uses this one. ``session`` is what a window shows and whose keys it calls, with an
``outcome``: ``walk`` goes from slice to slice (``both_readings`` through those that are read a
second time as well), by ``work_queue`` (``shared_queue`` where several work), ``open_volume`` holds
images and the label that is painted on (``slice_contents``), ``display`` how they are shown,
``slice_proposals`` what is proposed. ``decisions`` are taken on slices; ``worked_volume`` brings
strokes into a ``journal`` and decisions into the campaign's files (``label_saving``), under a
``lease``. The window itself is the package ``viewer``, which ``annotate_command`` opens.
"""
