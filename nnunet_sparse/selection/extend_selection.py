"""Adding slices to a selection."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from nnunet_sparse.data.check_base import CheckedCase
from nnunet_sparse.features.feature_store import SliceFeatures
from nnunet_sparse.selection.added_round import AddedRound
from nnunet_sparse.selection.choose_slices import choose_from_pools, pool_of, slices_to_add
from nnunet_sparse.selection.selection import CaseSelection, Selection
from nnunet_sparse.selection.variant import Variant
from nnunet_sparse.selectors import SeenByNetwork
from nnunet_sparse.system.errors import SparseError


def given_slices(selection: Selection, lengths: Mapping[str, int]) -> dict[str, np.ndarray]:
    """Which slices of some volumes are annotated.

    Parameters
    ----------
    selection
        What is annotated.
    lengths
        Length of the slice axis of each volume, by case ID.

    Returns
    -------
    dict of np.ndarray
        (num_slices,) bool by case ID.

    Raises
    ------
    SparseError
        If an annotated volume has another length now.
    """
    given = {}
    for case_id, length in lengths.items():
        given[case_id] = np.zeros(length, bool)
        if (case := selection.cases.get(case_id)) is not None:
            if case.num_slices != length:
                raise SparseError(
                    f"case {case_id} of {selection.base} has {length} slices, it had "
                    f"{case.num_slices} when the first ones were chosen"
                )
            given[case_id][list(case.slices)] = True
    return given


def extend_selection(
    selection: Selection,
    variant: Variant,
    volumes: Mapping[str, CheckedCase],
    source: str,
    *,
    features: SliceFeatures | None = None,
    seen: Mapping[str, SeenByNetwork] | None = None,
    network: Mapping[str, Any] | None = None,
    teacher: str = "",
) -> Selection:
    """Choose slices that are not annotated yet, and add them to a selection.

    Parameters
    ----------
    selection
        What is annotated.
    variant
        How many slices are added, and how they are chosen. Shares and numbers per volume refer to
        whole volumes, a number in all to the slices that are left.
    volumes
        The volumes from which they are chosen. A total that does not divide evenly gives the first
        ones a slice more.
    source
        Name of the data set of the selection, without ``DatasetXXX_``.
    features
        Features of all training volumes, if the selector uses them.
    seen
        What a trained network says of the volumes, if the selector asks one.
    network, teacher
        Which network that is, see :class:`AddedRound`.

    Returns
    -------
    Selection
        It contains the old one.

    Raises
    ------
    SparseError
        If the budget exceeds what is left.
    """
    axis = selection.axis
    lengths = {case_id: len(case.foreground[axis]) for case_id, case in volumes.items()}
    given = given_slices(selection, lengths)
    counts = slices_to_add(variant, given)
    values = {} if features is None else features.standardised()
    pools = {
        case_id: replace(
            pool_of(checked, axis, variant.positive_weight, values.get(case_id)),
            chosen=given[case_id],
            network=None if seen is None else seen[case_id],
        )
        for case_id, checked in volumes.items()
    }
    round_number = len(selection.rounds) + 1
    chosen = choose_from_pools(variant, pools, counts, f"round {round_number}")
    added = AddedRound(
        source,
        variant,
        {case_id: tuple(int(i) for i in chosen[case_id]) for case_id in sorted(chosen)},
        variant.make_selector().parameters,
        None if features is None else features.checkpoint,
        network,
        teacher,
    )
    cases = {
        case_id: CaseSelection(
            lengths[case_id] if case_id in lengths else selection.cases[case_id].num_slices,
            _together(selection.cases.get(case_id), added.slices.get(case_id, ())),
        )
        for case_id in sorted({*selection.cases, *added.slices})
    }
    return replace(selection, cases=cases, rounds=(*selection.rounds, added))


def _together(case: CaseSelection | None, added: tuple[int, ...]) -> tuple[int, ...]:
    """All annotated slices of a case, ascending."""
    return tuple(sorted((*(() if case is None else case.slices), *added)))
