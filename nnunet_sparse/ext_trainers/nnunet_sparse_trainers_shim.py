"""Names under which nnU-Net finds our trainers, without importing any before it is asked for.

nnU-Net imports this file as a top-level module and forgets it again, so that a class defined here
could not be unpickled in a spawned process. The classes live in ``nnunet_sparse.trainers``.
"""

import importlib
from typing import Any

_PAPER = "nnunet_sparse.trainers.paper_trainers"
_MODULES = {
    "SparseTrainer": "nnunet_sparse.trainers.sparse_trainer",
    "SparseTrainerAttentionUNet3D": _PAPER,
    "SparseTrainerCAMWNet": _PAPER,
    "SparseTrainerInceptionUNet": _PAPER,
    "SparseTrainerSegFormer": _PAPER,
    "SparseTrainerSegResNet": _PAPER,
    "SparseTrainerUNETR": _PAPER,
    "SparseTrainerUNet3D": _PAPER,
}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_MODULES[name]), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *_MODULES])
