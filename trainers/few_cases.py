"""Saving and scoring a few predictions in the process that makes them.

nnU-Net does both in pools of new processes, each of which imports torch and nnU-Net. Where there is
little to save, that takes far longer than the work.
"""

import math
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, Self

from nnunetv2.evaluation import evaluate_predictions
from nnunetv2.training.nnUNetTrainer import nnUNetTrainer
from nnunetv2.utilities.label_handling.label_handling import LabelManager
from nnunetv2.utilities.plans_handling.plans_handler import PlansManager

# logits; resampling and saving as many takes about as long as a process takes to start
_FEW_VALUES = 50_000_000


def are_few(num_cases: int, plans: PlansManager, labels: LabelManager) -> bool:
    """Whether predictions are saved sooner than processes that would save them have started.

    Parameters
    ----------
    num_cases
        Number of predictions.
    plans
        Plans of the data set, by which their size is judged.
    labels
        What is predicted.
    """
    voxels = math.prod(plans.original_median_shape_after_transp)
    return bool(num_cases * voxels * labels.num_segmentation_heads <= _FEW_VALUES)


@contextmanager
def without_pools() -> Iterator[None]:
    """Let nnU-Net's validation and evaluation do themselves what they hand to processes."""
    modules = (nnUNetTrainer, evaluate_predictions)
    before = [module.multiprocessing for module in modules]
    for module in modules:
        module.multiprocessing = _Multiprocessing()
    try:
        yield
    finally:
        for module, replaced in zip(modules, before, strict=True):
            module.multiprocessing = replaced


class _Multiprocessing:
    """What nnU-Net uses of the module ``multiprocessing``."""

    def get_context(self, _: str) -> Self:
        """Start nothing, in whatever way."""
        return self

    def Pool(self, _: int) -> "_NoPool":  # noqa: N802 - as in multiprocessing
        """A pool without processes."""
        return _NoPool()


class _NoPool:
    """Does at once what it is handed."""

    _pool = ()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def starmap(self, function: Callable[..., Any], cases: Iterable[Iterable[Any]]) -> list[Any]:
        """Results in order."""
        return [function(*case) for case in cases]

    def starmap_async(
        self, function: Callable[..., Any], cases: Iterable[Iterable[Any]]
    ) -> "_Result":
        """Results in order, which are there."""
        return _Result(self.starmap(function, cases))


class _Result:
    """What a pool has been handed, done."""

    def __init__(self, value: list[Any]) -> None:
        self._value = value

    def ready(self) -> bool:
        """Always."""
        return True

    def get(self) -> list[Any]:
        """The results."""
        return self._value
