"""Phantoms: procedural volumes with labels, to try things out without data.

Four tasks stand for four kinds of target: ``lesion`` (CT-like numbers: liver and tumours inside
it), ``organ`` (large, smooth, with look-alike neighbours), ``tree`` (thin branching tissue inside
an organ) and ``subtle`` (faint lesions on a structured background, many slices without any).
"""

from nnunet_sparse.phantoms.phantom_case import (
    DEFAULT_SPACING_MM,
    MIN_SHAPE,
    PHANTOM_TASKS,
    PhantomCase,
    PhantomTask,
    make_case,
)
from nnunet_sparse.phantoms.variation import MAX_STRENGTH

__all__ = [
    "DEFAULT_SPACING_MM",
    "MAX_STRENGTH",
    "MIN_SHAPE",
    "PHANTOM_TASKS",
    "PhantomCase",
    "PhantomTask",
    "make_case",
]
