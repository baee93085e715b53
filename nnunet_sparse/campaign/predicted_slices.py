"""What a trained network predicts on slices that it has asked for, kept in the campaign.

``predictions/round2/CASE.npz`` is written before the round is, so that a call that was killed can
be finished without the network, and what a prefilled label held is known for ever.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from nnunet_sparse.data.damaged_files import UNREADABLE_ARRAYS, first_line
from nnunet_sparse.system.atomic import atomic_path
from nnunet_sparse.system.errors import SparseError

if TYPE_CHECKING:
    from nnunet_sparse.campaign.campaign import Campaign

FOLDER = "predictions"
_LEVELS = 255


@dataclass(frozen=True, eq=False)
class PredictedSlices:
    """What a network predicts on some slices of a case.

    Attributes
    ----------
    slices
        (k,) ascending indices.
    label
        (k, rows, columns) unsigned integers, the predicted label.
    uncertainty
        (k, rows, columns) uint8, entropy of the prediction as a share of the largest possible one,
        255 for 1.
    entropy
        (k,) entropy of the slice in nats, pooled as the selector did.
    rank
        (k,) place of this entropy among all slices that could have been chosen, from 1 on.
    num_ranked
        Number of these.
    """

    slices: np.ndarray
    label: np.ndarray
    uncertainty: np.ndarray
    entropy: np.ndarray
    rank: np.ndarray
    num_ranked: int

    def index_of(self, slice_index: int) -> int | None:
        """Where a slice of the volume stands here; None if it does not."""
        found = np.flatnonzero(self.slices == slice_index)
        return int(found[0]) if len(found) else None

    def write(self, file: Path, folder: Path) -> None:
        """Write it in one step; ``folder`` is where the unfinished file lies."""
        file.parent.mkdir(parents=True, exist_ok=True)
        with atomic_path(file, folder) as temporary, temporary.open("wb") as stream:
            np.savez_compressed(stream, allow_pickle=False, **vars(self))

    @classmethod
    def read(cls, file: Path, num_slices: int) -> "PredictedSlices":
        """Read what :meth:`write` has written.

        Raises
        ------
        SparseError
            If the file is missing or damaged, or names slices that the volume does not have.
        """
        try:
            with np.load(file, allow_pickle=False) as content:
                found = {name: content[name] for name in cls.__annotations__}
            count = len(found["slices"])
            if any(len(found[name]) != count for name in ("label", "uncertainty", "rank")):
                raise ValueError("its parts differ in length")
            if found["label"].ndim != 3 or found["label"].shape != found["uncertainty"].shape:
                raise ValueError(f"its label has shape {found['label'].shape}")
            if not np.isin(found["slices"], np.arange(num_slices)).all():
                raise ValueError(f"the volume has {num_slices} slices")
            return cls(**{**found, "num_ranked": int(found["num_ranked"])})
        except UNREADABLE_ARRAYS as error:
            raise SparseError(
                f"{file}, what the network predicted on slices that were asked for, is missing or "
                f"damaged: {first_line(error)}"
            ) from error


def predictions_file(campaign: "Campaign", round_index: int, case_id: str) -> Path:
    """Where what is predicted on the slices of a round is kept; rounds count from 0."""
    return campaign.folder / FOLDER / f"round{round_index + 1}" / f"{case_id}.npz"


def handed_out(campaign: "Campaign", case_id: str) -> dict[int, np.ndarray]:
    """Predicted labels that stand in the prefilled label of a case, by slice.

    Raises
    ------
    SparseError
        If what was predicted is missing or damaged.
    """
    found = {}
    for number, asking in enumerate(campaign.rounds):
        if not asking.is_prefilled or case_id not in asking.slices:
            continue
        file = predictions_file(campaign, number, case_id)
        predicted = PredictedSlices.read(file, campaign.volumes[case_id].num_slices)
        for i in asking.slices[case_id]:
            if (index := predicted.index_of(i)) is None:
                raise SparseError(f"{file} does not hold slice {i}, which was asked for")
            found[i] = predicted.label[index]
    return found


def reasons(campaign: "Campaign", case_id: str) -> dict[int, tuple[PredictedSlices, int]]:
    """Where it is kept why slices of a case were chosen by a network, by slice.

    Of rounds whose files are gone, and that were not prefilled, nothing is known.
    """
    found: dict[int, tuple[PredictedSlices, int]] = {}
    for number, asking in enumerate(campaign.rounds):
        file = predictions_file(campaign, number, case_id)
        if asking.network is None or case_id not in asking.slices or not file.is_file():
            continue
        predicted = PredictedSlices.read(file, campaign.volumes[case_id].num_slices)
        for i in asking.slices[case_id]:
            if (index := predicted.index_of(i)) is not None:
                found[i] = predicted, index
    return found


def as_levels(entropy: np.ndarray, num_labels: int) -> np.ndarray:
    """Entropy in nats as uint8 shares of the largest one of so many labels."""
    share = entropy / np.log(max(2, num_labels))
    return np.asarray(np.round(_LEVELS * np.clip(share, 0, 1)).astype(np.uint8))


def ranks_of(
    scores: Mapping[str, np.ndarray], free: Mapping[str, np.ndarray]
) -> dict[str, np.ndarray]:
    """Place of each slice by falling score among the free ones of all volumes, from 1 on.

    Parameters
    ----------
    scores
        (num_slices,) by case ID.
    free
        (num_slices,) bool by case ID, of the same cases.
    """
    everything = np.sort(np.concatenate([scores[c][free[c]] for c in scores]))
    return {
        c: 1 + len(everything) - np.searchsorted(everything, values, side="right")
        for c, values in scores.items()
    }
