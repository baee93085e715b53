"""What a trained network says to selectors that ask one."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from nnunet_sparse.data.geometry import read_spacing
from nnunet_sparse.data.image_files import read_image
from nnunet_sparse.data.raw_dataset import RawDataset
from nnunet_sparse.prediction.network_scores import network_scores
from nnunet_sparse.prediction.pooling import Pooling
from nnunet_sparse.prediction.trained_network import TrainedNetwork
from nnunet_sparse.selectors import NetworkSelector, SeenByNetwork, Selector
from nnunet_sparse.system.atomic import remove_leftovers
from nnunet_sparse.system.errors import SparseError
from nnunet_sparse.system.locks import held_if_free


@dataclass(frozen=True)
class AskedNetwork:
    """A trained network that is asked about volumes.

    Attributes
    ----------
    network
        The network, one member of an ensemble for each fold.
    device
        Where it predicts; None for a GPU if there is one.
    """

    network: TrainedNetwork
    device: str | None = None

    def check(self, selector: Selector, raw: RawDataset) -> None:
        """Refuse what cannot be asked, before minutes of work.

        Raises
        ------
        SparseError
            If the network has other channels or labels than the volumes, or the selector needs more
            folds.
        """
        selector.check_networks(len(self.network.folds))
        self.network.check_fits(raw)

    def seen(
        self,
        selector: Selector,
        raw: RawDataset,
        cases: Sequence[str],
        axis: int,
        folder: Path,
        round_number: int,
        owners: Sequence[Path] = (),
    ) -> dict[str, SeenByNetwork]:
        """Ask about the slices of volumes; what is said is kept, case by case.

        Parameters
        ----------
        selector
            Who asks; its parameter ``pooling`` says how a slice's voxels become one number.
        raw
            Data set of the volumes.
        cases
            Their IDs.
        axis
            Slice axis of the array as read.
        folder
            Where folders of what networks say lie.
        round_number
            Which addition to the first choice this is, from 1 on.
        owners
            Folders ``nnUNet_preprocessed/DATASET`` in whose stores preprocessed images are looked
            for.

        Raises
        ------
        SparseError
            If the network or an image cannot be used, or what it says are no numbers; what was
            predicted before is kept.
        """
        reader = raw.reader()
        pooling = Pooling(selector.pooling if isinstance(selector, NetworkSelector) else "mean")
        cache = folder / f"scores_{self.network.digest}_axis{axis}_{pooling.name}"
        images = {c: raw.case(c).images for c in cases}
        read = partial(read_image, reader=reader)
        found = network_scores(
            self.network,
            images,
            axis,
            read,
            cache,
            pooling=pooling,
            owners=owners,
            device=self.device,
        )
        _tidy(cache)
        seen = {}
        for case_id, said in found.items():
            spacing_mm = float(read_spacing(images[case_id][0], reader)[axis])
            seen[case_id] = SeenByNetwork(
                said.entropy,
                said.bald,
                said.class_entropy,
                said.predicted,
                spacing_mm * np.arange(len(said.entropy)),
                len(self.network.folds),
                round_number,
            )
            try:
                seen[case_id].check(len(said.entropy))
            except ValueError as error:
                raise SparseError(f"{self.network.folder}, case {case_id}: {error}") from error
        return seen

    def provenance(self) -> dict[str, Any]:
        """Which network it is, as JSON holds it."""
        return self.network.provenance()


def _tidy(cache: Path) -> None:
    """Remove what a process has left that was killed when all was predicted."""
    lock = cache / ".lock"
    if lock.exists() or any(cache.glob(".nnsparse_*")):
        with held_if_free(lock) as held:
            if held:
                remove_leftovers(cache)


def check_asked(selector: Selector, is_named: bool) -> None:
    """Refuse a selector that asks a network where none is named, and a network that none asks.

    Raises
    ------
    SparseError
        Naming the option.
    """
    if selector.asks_network() and not is_named:
        raise SparseError(
            f"selector {selector.name} asks a network that was trained on what is annotated "
            "already: name it with --model FOLDER (nnUNet_results/DATASET/TRAINER__PLANS__"
            "CONFIGURATION)"
        )
    if is_named and not selector.asks_network():
        raise SparseError(
            f"selector {selector.name} asks no network: leave out --model, or choose another "
            "selector (clasp_pe)"
        )
