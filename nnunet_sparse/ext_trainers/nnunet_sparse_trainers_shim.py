"""Names under which nnU-Net finds our trainers, without importing any before it is asked for.

nnU-Net imports this file as a top-level module and forgets it again, so that a class defined here
could not be unpickled in a spawned process. The classes live in ``nnunet_sparse.trainers``.
"""

from typing import Any

from nnunet_sparse.trainers.trainer_classes import OURS, own_trainer


def __getattr__(name: str) -> Any:
    if name not in OURS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return own_trainer(name)


def __dir__() -> list[str]:
    return sorted([*globals(), *OURS])
