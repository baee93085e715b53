"""Phantoms: procedural volumes with labels, to try things out without data.

Four tasks stand for four kinds of target: ``lesion`` (CT-like numbers: liver and tumours inside
it), ``organ`` (large, smooth, with look-alike neighbours), ``tree`` (thin branching tissue inside
an organ) and ``subtle`` (faint lesions on a structured background, many slices without any).
"""

from nnunet_sparse.phantoms.phantom_case import (
    MIN_SHAPE,
    PHANTOM_TASKS,
    PhantomCase,
    PhantomTask,
    make_case,
)

__all__ = ["MIN_SHAPE", "PHANTOM_TASKS", "PhantomCase", "PhantomTask", "make_case"]
