"""Annotating a campaign slice by slice: the model of a window, without the window.

No other package uses this one. ``session`` is what a window shows and whose keys it calls, with an
``outcome``: ``work_queue`` says which slice comes next (``shared_queue`` where several work),
``open_volume`` holds images and the label that is painted on, ``display`` how they are shown,
``suggestions`` what is proposed. ``worked_volume`` brings strokes into a ``journal`` and decisions
into the campaign's files (``label_saving``), under a ``lease``.
"""
