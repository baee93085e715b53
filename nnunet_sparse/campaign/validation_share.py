"""Choosing the annotated volumes of a campaign that networks are validated on."""

import json
import math
from collections.abc import Sequence
from pathlib import Path

from nnunet_sparse.system.errors import SparseError
from nnunet_sparse.system.randomness import generator, shuffled

SPLIT_FILE = "split.json"


def read_parts(folder: Path) -> dict[str, list[str]]:
    """Training and validation volumes of earlier imports; empty lists before the first one.

    Raises
    ------
    SparseError
        If the file is damaged.
    """
    file = folder / SPLIT_FILE
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
        return {part: [str(case_id) for case_id in content[part]] for part in ("train", "val")}
    except FileNotFoundError:
        return {"train": [], "val": []}
    except (ValueError, KeyError, TypeError) as error:
        raise SparseError(f"{file} is damaged: {error!r}") from error


def split_volumes(
    annotated: Sequence[str], share: float, seed: int, before: dict[str, list[str]]
) -> dict[str, list[str]]:
    """Divide the annotated volumes into training and validation; those of earlier imports stay.

    Parameters
    ----------
    annotated
        Case IDs.
    share
        Validation volumes: a number, or a share below 1 of the annotated ones.
    seed
        Seed of the random order in which volumes become validation volumes.
    before
        Training and validation volumes of earlier imports.

    Returns
    -------
    dict of str to list of str
        ``train`` and ``val``, sorted.

    Raises
    ------
    SparseError
        If the share is no number of volumes, or no volume would be left to train on.
    """
    if len(annotated) < 2:
        raise SparseError(
            f"{len(annotated)} annotated volume: nnU-Net needs at least 2, one to train on and one "
            "to validate on"
        )
    wanted = num_validation(share, len(annotated))
    val = [case_id for case_id in before["val"] if case_id in annotated]
    fresh = [c for c in sorted(annotated) if c not in before["val"] and c not in before["train"]]
    order = shuffled(fresh, generator(seed, "validation"))
    val += order[: max(0, wanted - len(val))]
    train = sorted(set(annotated) - set(val))
    if not train:
        raise SparseError(
            f"no volume is left to train on: {len(annotated)} are annotated, {len(val)} are for "
            "validation"
        )
    if not val:
        raise SparseError(
            "no volume is left to validate on: all that are annotated have been trained on by an "
            "earlier import; annotate another one"
        )
    return {"train": train, "val": sorted(val)}


def num_validation(share: float, total: int) -> int:
    """Number of validation volumes that a share or number asks for.

    Raises
    ------
    SparseError
        If it is neither.
    """
    if 0 < share < 1:
        return max(1, math.floor(share * total + 0.5))
    if math.isfinite(share) and share >= 1 and share == int(share):
        return int(share)
    raise SparseError(f"val must be a number of volumes or a share below 1, got {share:g}")
