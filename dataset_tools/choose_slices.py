"""Choosing volumes and slices of a base for a variant."""

import numpy as np

from nnunet_sparse.budget import num_annotated_slices, num_annotated_volumes
from nnunet_sparse.dataset_tools.check_base import CheckedCase
from nnunet_sparse.randomness import generator, shuffled
from nnunet_sparse.selection import CaseSelection, Selection
from nnunet_sparse.selectors import Selector, get_selector
from nnunet_sparse.variant import Variant


def choose_volumes(train: list[str], s: float, seed: int) -> list[str]:
    """Training volumes that carry annotation.

    The volumes are put into an order that depends on the seed alone, and the first ones are
    taken, so that a smaller share is a subset of a larger one.

    Returns
    -------
    list of str
        Sorted case IDs.
    """
    order = shuffled(sorted(train), generator(seed, "volumes"))
    return sorted(order[: num_annotated_volumes(s, len(train))])


def choose_slices(
    base: str, variant: Variant, axis: int, volumes: dict[str, CheckedCase]
) -> Selection:
    """Select the slices of every annotated volume.

    Parameters
    ----------
    base
        Full name of the base data set.
    variant
        The factors; its selector is called once per volume, with a generator of the volume's own.
    axis
        Slice axis.
    volumes
        The annotated volumes.

    Raises
    ------
    SparseError
        If the selector is unknown.
    """
    selector = get_selector(variant.selector)
    return Selection(
        base=base,
        variant=variant,
        axis=axis,
        cases={
            case_id: _select_case(selector, variant, case_id, checked.foreground[axis])
            for case_id, checked in sorted(volumes.items())
        },
    )


def _select_case(
    selector: Selector, variant: Variant, case_id: str, foreground: np.ndarray
) -> CaseSelection:
    num_slices = len(foreground)
    weights = None
    if variant.positive_weight != 1:
        weights = np.where(foreground, variant.positive_weight, 1.0)
    chosen = selector.select(
        num_slices,
        num_annotated_slices(variant.rho, num_slices),
        generator(variant.seed, "slices", case_id),
        weights,
    )
    return CaseSelection(num_slices, tuple(int(i) for i in chosen))
