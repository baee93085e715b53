"""Choosing volumes and slices of a base for a variant."""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from nnunet_sparse.data.check_base import CheckedCase
from nnunet_sparse.features.feature_store import SliceFeatures
from nnunet_sparse.selection.budget import num_annotated_volumes
from nnunet_sparse.selection.selection import CaseSelection, Selection
from nnunet_sparse.selection.variant import Variant
from nnunet_sparse.selectors import Pool, Selector, refuse_without_network
from nnunet_sparse.system.errors import SparseError
from nnunet_sparse.system.randomness import generator, shuffled


def choose_volumes(train: list[str], s: float, seed: int) -> list[str]:
    """Training volumes that carry annotation.

    The volumes are put into an order that depends on the seed alone, and the first ones are
    taken, so that a smaller share is a subset of a larger one.

    Returns
    -------
    list of str
        Case IDs, in that order.
    """
    order = shuffled(sorted(train), generator(seed, "volumes"))
    return order[: num_annotated_volumes(s, len(train))]


def slices_of_volumes(variant: Variant, num_slices: Mapping[str, int]) -> dict[str, int]:
    """Number of slices of each volume; with scope ``dataset`` only their sum counts.

    Parameters
    ----------
    variant
        The factors.
    num_slices
        Length of the slice axis of each volume that may be annotated.

    Raises
    ------
    SparseError
        If the budget exceeds what there is, or a least number per volume exceeds the budget.
    """
    counts = variant.amount.of_volumes(num_slices)
    needed = sum(min(variant.min_per_volume, n) for n in num_slices.values())
    if needed > (total := sum(counts.values())):
        raise SparseError(
            f"min_per_volume {variant.min_per_volume} takes {needed} slices of {len(num_slices)} "
            f"volumes, the budget is {total}"
        )
    return counts


def slices_so_far(variant: Variant, num_slices: Mapping[str, int]) -> dict[str, int]:
    """The same for a variant that may be annotated in rounds.

    Raises
    ------
    SparseError
        As by :func:`slices_of_volumes`, or if nothing is left before the last round.
    """
    if variant.rounds is None:
        return slices_of_volumes(variant, num_slices)
    counts = slices_of_volumes(variant.rounds.first, num_slices)
    for number in range(2, variant.rounds.number + 1):
        if all(counts.get(case_id, 0) >= length for case_id, length in num_slices.items()):
            raise SparseError(
                f"every slice is annotated after round {number - 1}: there is no round {number}"
            )
        added = slices_of_volumes(replace(variant.addition, min_per_volume=0), num_slices)
        counts = {c: min(counts.get(c, 0) + added[c], length) for c, length in num_slices.items()}
    return counts


def slices_to_add(
    variant: Variant, given: Mapping[str, np.ndarray], done: str = "annotated"
) -> dict[str, int]:
    """Number of slices that are added to each volume; with scope ``dataset`` their sum counts.

    Parameters
    ----------
    variant
        The factors. ``rho`` and a number per volume refer to whole volumes, a budget to the slices
        that are left.
    given
        (num_slices,) bool by case ID, which slices are annotated or asked for.
    done
        What is the case with these, for messages.

    Raises
    ------
    SparseError
        If the budget exceeds what is left, or nothing is.
    """
    free = {case_id: int((~chosen).sum()) for case_id, chosen in given.items()}
    if not any(free.values()):
        raise SparseError(f"every slice of these volumes is {done} already")
    lengths = {case_id: len(chosen) for case_id, chosen in given.items()}
    # the least number per volume includes what is given already, so that it comes later
    plain = replace(variant, min_per_volume=0)
    counts = slices_of_volumes(plain, lengths if variant.budget is None else free)
    return {case_id: min(count, free[case_id]) for case_id, count in counts.items()}


def choose_slices(
    base: str,
    variant: Variant,
    axis: int,
    volumes: Mapping[str, CheckedCase],
    features: SliceFeatures | None = None,
) -> Selection:
    """Select the slices of every annotated volume.

    Parameters
    ----------
    base
        Full name of the base data set.
    variant
        The factors. With scope ``volume`` its selector is called once per volume, with a generator
        of the volume's own; with scope ``dataset`` once for all.
    axis
        Slice axis.
    volumes
        The volumes that may be annotated. A total that does not divide evenly gives the first ones
        a slice more, or the only ones.
    features
        Features of all training volumes, if the selector uses them.

    Returns
    -------
    Selection
        Volumes without an annotated slice are left out.

    Raises
    ------
    SparseError
        If the selector is unknown or asks a trained network, the budget exceeds what there is, or a
        least number per volume exceeds the budget.
    """
    refuse_without_network(variant.selector)
    selector = variant.make_selector()
    values = {} if features is None else features.standardised()
    pools = {
        case_id: pool_of(checked, axis, variant.positive_weight, values.get(case_id))
        for case_id, checked in volumes.items()
    }
    counts = slices_of_volumes(variant, {case_id: pool.size for case_id, pool in pools.items()})
    chosen = choose_from_pools(variant, pools, counts)
    return Selection(
        base=base,
        variant=variant,
        axis=axis,
        cases={
            case_id: CaseSelection(pools[case_id].size, tuple(int(i) for i in chosen[case_id]))
            for case_id in sorted(chosen)
        },
        parameters=selector.parameters,
        features=None if features is None else features.checkpoint,
    )


def choose_from_pools(
    variant: Variant, pools: Mapping[str, Pool], counts: Mapping[str, int], *purpose: str
) -> dict[str, np.ndarray]:
    """Select slices that are not annotated yet.

    Parameters
    ----------
    variant
        Selector, scope, least number of slices per volume, and seed. The least number includes
        slices that are annotated.
    pools
        The slices of each volume.
    counts
        Number of slices to choose in each volume; with scope ``dataset`` only their sum counts.
    purpose
        Names of what is chosen for: another purpose gives other slices with the same seed.

    Returns
    -------
    dict of str to np.ndarray
        Ascending indices by case ID; volumes without a slice are left out.

    Raises
    ------
    SparseError
        If a budget exceeds what there is, or the least numbers exceed the budget.
    """
    selector = variant.make_selector()
    if variant.scope == "volume":
        return {
            case_id: _select(selector, pools[case_id], count, variant.seed, *purpose, case_id)
            for case_id, count in counts.items()
            if count
        }
    return _select_together(
        selector, dict(sorted(pools.items())), sum(counts.values()), variant, purpose
    )


def _select(selector: Selector, pool: Pool, count: int, seed: int, *purpose: str) -> np.ndarray:
    return selector.select(pool, count, generator(seed, "slices", *purpose))


def _select_together(
    selector: Selector,
    pools: Mapping[str, Pool],
    total: int,
    variant: Variant,
    purpose: tuple[str, ...],
) -> dict[str, np.ndarray]:
    """Slices of each volume, chosen from all volumes at once after each got its least number."""
    given = Pool.joined(list(pools.values())).chosen.copy()
    pools = {case_id: replace(pool, chosen=pool.chosen.copy()) for case_id, pool in pools.items()}
    left = total
    for case_id, pool in pools.items():
        least = min(variant.min_per_volume, pool.size) - int(pool.chosen.sum())
        if least > left:
            raise SparseError(
                f"min_per_volume {variant.min_per_volume} takes more slices than the budget of "
                f"{total}"
            )
        if least > 0:
            first = _select(selector, pool, least, variant.seed, *purpose, case_id)
            pool.chosen[first] = True
            left -= least
    everything = Pool.joined(list(pools.values()))
    if left:
        rest = _select(selector, everything, left, variant.seed, *purpose)
        everything.chosen[rest] = True
    ends = np.cumsum(everything.num_slices)[:-1]
    parts = np.split(everything.chosen & ~given, ends)
    found = {c: np.flatnonzero(part) for c, part in zip(pools, parts, strict=True)}
    return {case_id: indices for case_id, indices in found.items() if len(indices)}


def pool_of(
    checked: CheckedCase, axis: int, positive_weight: float, features: np.ndarray | None
) -> Pool:
    """What a selector may see of a volume of which nothing is annotated."""
    foreground = checked.foreground[axis]
    classes, objects = checked.classes, checked.objects
    return Pool.of_volume(
        len(foreground),
        weights=np.where(foreground, positive_weight, 1.0) if positive_weight != 1 else None,
        features=features,
        classes=None if classes is None else classes[axis],
        objects=None if objects is None else tuple(np.arange(*ends[axis]) for ends in objects),
    )
