"""Annotating a campaign slice by slice: the model of a window, without the window.

``session`` is what a window shows and whose keys it calls. No other package uses this one.
"""
