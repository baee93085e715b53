"""What a network says of the slices of many volumes, kept case by case.

``CASE.npz`` in the folder of the scores keeps them with a hash of the network, of the image files'
content and of the settings: when one of these has changed, the case is predicted again.
"""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from tqdm import tqdm

from nnunet_sparse.data.damaged_files import UNREADABLE_ARRAYS
from nnunet_sparse.prediction.asked_text import asked_text
from nnunet_sparse.prediction.pooling import Pooling
from nnunet_sparse.prediction.slice_scores import SliceScores
from nnunet_sparse.prediction.trained_network import TrainedNetwork
from nnunet_sparse.system.atomic import atomic_path, remove_leftovers
from nnunet_sparse.system.devices import best_device
from nnunet_sparse.system.locks import locked

if TYPE_CHECKING:
    from nnunet_sparse.prediction.loaded_network import (
        LoadedNetwork,
        PreparedImage,
        ReadVolume,
    )
    from nnunet_sparse.prediction.probability_slab import ProbabilitySlab

_VERSION = 1


def network_scores(
    network: TrainedNetwork,
    volumes: Mapping[str, Sequence[Path]],
    axis: int | Mapping[str, int],
    read: "ReadVolume",
    cache: Path,
    *,
    pooling: Pooling | None = None,
    owners: Sequence[Path] = (),
    device: str | None = None,
) -> dict[str, SliceScores]:
    """Scores of the slices of volumes, predicted where they are not known yet.

    A call that was killed goes on at the volume where it was. Calls at the same time wait for each
    other.

    Parameters
    ----------
    network
        The network; its channels and labels must be those of the volumes, see
        :meth:`TrainedNetwork.check_fits`.
    volumes
        Image files of every case, one per channel or one with all. Labels are not read.
    axis
        Slice axis of the arrays as read, of all cases or by case.
    read
        Reads the files of a volume.
    cache
        Folder of the scores, which is made.
    pooling
        How a slice's voxels become one number; None for their mean.
    owners
        Folders ``nnUNet_preprocessed/DATASET`` whose stores may hold the images, preprocessed.
    device
        Where the network predicts; None for a GPU if there is one.

    Returns
    -------
    dict of SliceScores
        By case ID, in the order of ``volumes``.

    Raises
    ------
    SparseError
        If the network or an image cannot be used; what was predicted before is kept.
    OSError
        If the disk is full, say.
    """
    pooling = pooling or Pooling()
    axes = dict.fromkeys(volumes, axis) if isinstance(axis, int) else axis
    asked = {c: _asked(network, files, axes[c], pooling) for c, files in volumes.items()}
    found = {c: known for c in volumes if (known := _read(cache, c, asked[c])) is not None}
    if missing := [case_id for case_id in volumes if case_id not in found]:
        cache.mkdir(parents=True, exist_ok=True)
        with locked(cache / ".lock", f"Another process is predicting in {cache}, waiting for it"):
            remove_leftovers(cache)
            bar = tqdm(missing, "Predicting", len(volumes), leave=False, disable=None)
            bar.update(len(found))
            loaded: LoadedNetwork | None = None
            for case_id in bar:
                known = _read(cache, case_id, asked[case_id])  # by the process that was waited for
                if known is None:
                    loaded = loaded or _loaded(network, device)
                    image = loaded.prepare(volumes[case_id], read, case_id, owners)
                    known = score_image(loaded, image, axes[case_id], case_id, pooling, cache)
                    _write(cache, case_id, known, asked[case_id])
                found[case_id] = known
    return {case_id: found[case_id] for case_id in volumes}


def score_image(
    network: "LoadedNetwork",
    image: "PreparedImage",
    axis: int,
    case_id: str,
    pooling: Pooling,
    scratch: Path,
) -> SliceScores:
    """Predict a volume and pool what is said of its slices.

    Parameters
    ----------
    network, image
        What predicts what.
    axis
        Slice axis of the array as read.
    case_id
        For messages.
    pooling
        How a slice's voxels become one number.
    scratch
        Folder for the logits of several folds.
    """
    from nnunet_sparse.prediction.probability_slab import probability_slabs

    spacing = np.delete(image.properties["spacing"], axis).tolist()
    num_labels = len(network.network.label_values)
    slabs = probability_slabs(network, image, axis, case_id, scratch)
    return _joined(_scores_of(slab, num_labels, pooling, spacing) for slab in slabs)


def _scores_of(
    slab: "ProbabilitySlab", num_labels: int, pooling: Pooling, spacing_mm: Sequence[float]
) -> SliceScores:
    of_heads = slab.head_entropy()
    entropy = of_heads.sum(dim=0)
    # never below 0 but for rounding
    information = (entropy - slab.member_entropy).clamp(min=0)
    of_classes = slab.class_entropy(of_heads, num_labels)
    label = slab.label
    counts = [(label == value).sum(dim=(-2, -1)) for value in range(num_labels)]
    return SliceScores(
        pooling.pool(entropy.cpu().numpy(), spacing_mm),
        pooling.pool(information.cpu().numpy(), spacing_mm),
        pooling.pool(of_classes.cpu().numpy(), spacing_mm).T,
        np.stack([count.cpu().numpy() for count in counts], axis=1).astype(np.int64),
    )


def _joined(parts: Iterable[SliceScores]) -> SliceScores:
    every = list(parts)
    return SliceScores(
        **{name: np.concatenate([getattr(part, name) for part in every]) for name in vars(every[0])}
    )


def _loaded(network: TrainedNetwork, device: str | None) -> "LoadedNetwork":
    from nnunet_sparse.prediction.loaded_network import LoadedNetwork

    return LoadedNetwork(network, best_device(device))


def _write(cache: Path, case_id: str, scores: SliceScores, asked: str) -> None:
    with atomic_path(cache / f"{case_id}.npz", cache) as temporary, temporary.open("wb") as file:
        np.savez(file, asked=asked, **vars(scores))


def _asked(network: TrainedNetwork, files: Sequence[Path], axis: int, pooling: Pooling) -> str:
    """What the scores of a volume depend on."""
    return asked_text(network, files, version=_VERSION, axis=axis, pooling=list(pooling.key))


def _read(cache: Path, case_id: str, asked: str) -> SliceScores | None:
    """Scores of a case, if they are there and not outdated."""
    try:
        with np.load(cache / f"{case_id}.npz", allow_pickle=False) as content:
            if str(content["asked"]) != asked:
                return None
            return SliceScores(**{name: content[name] for name in SliceScores.__annotations__})
    except UNREADABLE_ARRAYS:
        return None
