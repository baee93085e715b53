"""Which slices of a campaign's volumes are asked for next."""

import math
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from nnunet_sparse.campaign.asked_round import Round
from nnunet_sparse.campaign.campaign import Campaign
from nnunet_sparse.data.training_images import TrainingImages
from nnunet_sparse.features.feature_store import SliceFeatures, slice_features
from nnunet_sparse.features.mae_request import MaeRequest
from nnunet_sparse.selection.ask_network import AskedNetwork
from nnunet_sparse.selection.choose_slices import (
    choose_from_pools,
    choose_volumes,
    slices_to_add,
)
from nnunet_sparse.selection.variant import Variant
from nnunet_sparse.selectors import Pool, SeenByNetwork
from nnunet_sparse.system.errors import SparseError
from nnunet_sparse.system.spreadsheet import read_spreadsheet
from nnunet_sparse.system.spreadsheet_cells import ChangedNames, decimal_number
from nnunet_sparse.system.wording import brief


def check_variant(variant: Variant, weights: Mapping[str, float]) -> None:
    """Refuse what needs labels, which nobody has yet, and weights that would have no effect.

    Raises
    ------
    SparseError
        Naming the reason.
    """
    selector = variant.make_selector()
    if selector.looks_at_labels():
        raise SparseError(
            f"selector {variant.selector} looks at dense labels, which serves in simulations only"
        )
    positive = {weight for weight in weights.values() if weight}
    if len(positive) > 1 and variant.scope == "dataset" and "weights" not in selector.uses:
        raise SparseError(
            "weights of volumes work with scope volume, or with selector random; selector "
            f"{variant.selector} with scope dataset does not use them (but a weight of 0 leaves a "
            "volume out)"
        )


def choose_round(
    campaign: Campaign,
    variant: Variant,
    annotated: Mapping[str, frozenset[int]],
    device: str | None,
    num_processes: int,
    asked: AskedNetwork | None = None,
) -> tuple[Round, dict[str, SeenByNetwork]]:
    """Choose slices that are neither asked for nor annotated.

    Parameters
    ----------
    campaign
        The campaign, whose images are there.
    variant
        How many slices, and how they are chosen; ``rho`` and numbers per volume count what is
        added.
    annotated
        Slices that are annotated although nobody asked for them, by case ID.
    device
        Where the masked autoencoder of selectors that use features is trained, unless that has
        been done; None for a GPU if there is one.
    num_processes
        Processes that read images.
    asked
        Trained network, if the selector asks one or its predictions are to be prefilled.

    Returns
    -------
    round : Round
        The slices.
    seen : dict of SeenByNetwork
        What the network says of the volumes that they were chosen from, by case ID; empty without
        one.

    Raises
    ------
    SparseError
        If the budget exceeds what is left, or the network cannot be used.
    """
    weights = {case_id: volume.weight for case_id, volume in campaign.volumes.items()}
    check_variant(variant, weights)
    wanted = [case_id for case_id in sorted(weights) if weights[case_id] > 0]
    cases = choose_volumes(wanted, variant.s, variant.seed)
    given = {case_id: _given(campaign, case_id, annotated) for case_id in cases}
    counts = _counts(campaign, variant, given)
    features = None
    if "features" in variant.make_selector().uses:
        mae = MaeRequest(variant.mae, variant.mae_seed, device)
        features = _features(campaign, mae, num_processes)
    values = {} if features is None else features.standardised()
    number = len(campaign.rounds)
    seen: dict[str, SeenByNetwork] = {}
    if asked is not None:
        folder = campaign.feature_paths.preprocessed
        selector = variant.make_selector()
        seen = asked.seen(selector, campaign.images, cases, campaign.axis, folder, number)
    together = variant.scope == "dataset" and "weights" in variant.make_selector().uses
    pools = {
        case_id: Pool(
            (len(chosen),),
            chosen,
            np.full(len(chosen), weights[case_id]) if together else None,
            values.get(case_id),
            network=seen.get(case_id),
        )
        for case_id, chosen in given.items()
    }
    purpose = [f"round {number}"] if number else []  # the first round chooses as simulations do
    chosen = choose_from_pools(variant, pools, counts, *purpose)
    asking = Round(
        variant,
        {case_id: tuple(int(i) for i in chosen[case_id]) for case_id in sorted(chosen)},
        variant.make_selector().parameters,
        None if features is None else features.checkpoint,
        network=None if asked is None else asked.provenance(),
    )
    return asking, seen


def read_weights(file: Path, cases: Mapping[str, object]) -> dict[str, float]:
    """Weight of each volume from a table with the columns ``case`` and ``weight``.

    Volumes that are not listed have the weight 1.

    Raises
    ------
    SparseError
        If the file is no such table, names another case, or a weight is no number from 0 on.
    """
    table = read_spreadsheet(file, "weight", ("case", "weight"))
    if not table.rows or not {"case", "weight"} <= set(table.names):
        raise SparseError(f"{file} must be a table with the columns case and weight")
    weights = dict.fromkeys(cases, 1.0)
    seen = set()
    names = ChangedNames(cases, {row["case"].strip() for _, row in table.rows})
    for number, row in table.rows:
        where = f"{file}, line {number}"
        case_id = _case_of(row["case"].strip(), names, where)
        if case_id in seen:
            raise SparseError(f"{where}: case {case_id} is there twice")
        seen.add(case_id)
        weights[case_id] = _weight(row["weight"].strip(), table.delimiter, where)
    if not any(weights.values()):
        raise SparseError(f"{file} gives every volume the weight 0")
    return weights


def weighted_counts(
    total: int, demands: Mapping[str, float], capacities: Mapping[str, int]
) -> dict[str, int]:
    """Share slices out among volumes in proportion to their demands.

    Parameters
    ----------
    total
        Number of slices in all.
    demands
        Weight of each volume; one with weight 0 gets no slice.
    capacities
        Slices of each volume that can be chosen. What a volume cannot take goes to the others.

    Returns
    -------
    dict of str to int
        Rounded so that the sum stays (largest remainders, the first volumes first), or the sum of
        the capacities of volumes with a demand if that is less.
    """
    left, shares = total, demands
    parts = dict.fromkeys(demands, 0)
    while left and (open_ := [c for c in parts if parts[c] < capacities[c] and shares[c] > 0]):
        whole = sum(shares[c] for c in open_)
        exact = {c: left * shares[c] / whole for c in open_}
        full = [c for c in open_ if exact[c] >= capacities[c]]
        if full:  # the others share what is left
            for c in full:
                parts[c] = capacities[c]
                left -= capacities[c]
            continue
        for c in open_:
            parts[c] = math.floor(exact[c] + 1e-9)
        left -= sum(parts[c] for c in open_)
        by_remainder = sorted(open_, key=lambda c: parts[c] - exact[c])
        for c in by_remainder[:left]:
            parts[c] += 1
        break
    return parts


def _case_of(text: str, names: ChangedNames, where: str) -> str:
    """The only case for which a text may stand."""
    similar = names.meant(text)
    if len(similar) != 1:
        name = brief(text)
        which = f"{name} may be {' or '.join(similar)}" if similar else f"there is no case {name}"
        raise SparseError(
            f"{where}: {which}; has a spreadsheet changed it? Columns of the format text stay"
        )
    return similar[0]


def _weight(text: str, delimiter: str, where: str) -> float:
    weight = decimal_number(text, delimiter)
    if weight is None or weight < 0:
        raise SparseError(f"{where}: weight must be a number from 0 on, got {brief(text)}")
    return weight


def _given(campaign: Campaign, case_id: str, annotated: Mapping[str, frozenset[int]]) -> np.ndarray:
    """Which slices of a case are asked for or annotated."""
    given = np.zeros(campaign.volumes[case_id].num_slices, bool)
    given[[*campaign.asked(case_id), *annotated.get(case_id, ())]] = True
    return given


def _counts(
    campaign: Campaign, variant: Variant, given: Mapping[str, np.ndarray]
) -> dict[str, int]:
    """Number of slices to be chosen in each volume; with scope dataset only the sum counts."""
    counts = slices_to_add(variant, given, "asked for")
    free = {case_id: int((~chosen).sum()) for case_id, chosen in given.items()}
    weights = {case_id: campaign.volumes[case_id].weight for case_id in counts}
    if variant.scope == "volume" and len(set(weights.values())) > 1:
        demands = {
            case_id: weights[case_id] * (1 if variant.budget is not None else count)
            for case_id, count in counts.items()
        }
        return weighted_counts(sum(counts.values()), demands, free)
    return counts


def _features(campaign: Campaign, mae: MaeRequest, num_processes: int) -> SliceFeatures:
    """Features of all slices of the campaign."""
    cases = tuple(sorted(campaign.volumes))
    images = TrainingImages(campaign.feature_paths, campaign.images, cases, campaign.axis)
    mae.train(images, num_processes)
    return slice_features(images, mae, num_processes)
