"""Features of the slices of a base, kept in the folder of the network that computes them.

``features/CASE.npz`` keeps a hash of the network's checkpoint and the names, sizes and times of the
image files that the features were made from: when the network or an image has changed, they are
computed again.
"""

import json
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from nnunet_sparse.data.damaged_files import UNREADABLE_ARRAYS
from nnunet_sparse.data.raw_dataset import Case
from nnunet_sparse.data.training_images import TrainingImages
from nnunet_sparse.features.canvas import Canvas
from nnunet_sparse.features.mae_request import MaeRequest, read_canvases
from nnunet_sparse.system.atomic import atomic_path
from nnunet_sparse.system.checkpoint import DAMAGED
from nnunet_sparse.system.errors import SparseError
from nnunet_sparse.system.model_folder import ModelFolder

_SLICES_AT_ONCE = 64


@dataclass(frozen=True)
class SliceFeatures:
    """Features of the slices of some cases.

    Attributes
    ----------
    values
        (num_slices, d) float32 by case ID.
    checkpoint
        Hash of the network.
    """

    values: dict[str, np.ndarray]
    checkpoint: str

    def standardised(self) -> dict[str, np.ndarray]:
        """The same with mean 0 and deviation 1 over all slices, feature by feature.

        Without it all slices are similar: what they share outweighs what tells them apart.
        """
        everything = np.concatenate([v.astype(np.float64) for v in self.values.values()])
        mean, deviation = everything.mean(axis=0), everything.std(axis=0)
        # constant up to rounding
        scale = np.where(deviation > 1e-6 * (1 + np.abs(mean)), deviation, np.inf)
        return {case_id: (v - mean) / scale for case_id, v in self.values.items()}


def slice_features(
    images: TrainingImages, request: MaeRequest, num_processes: int, keep: bool = True
) -> SliceFeatures:
    """Features of the slices of training cases, computed where they are missing or outdated.

    Parameters
    ----------
    images
        The cases.
    request
        The masked autoencoder, which must have been trained.
    num_processes
        Processes that read images.
    keep
        Whether features that are computed are written.

    Raises
    ------
    SparseError
        If there is no trained network, or an image cannot be read.
    """
    model = request.model_of(images)
    digest = model.digest(request.name)
    values, missing = _look_up(model.path, digest, images, images.cases)
    if missing and keep:
        with model.lock():
            found, missing = _look_up(model.path, digest, images, missing)
            values |= found
            computed = _compute(model, images, missing, request, num_processes)
            for case_id, source, features in computed:
                _write_features(model.path, case_id, features, digest, source)
                values[case_id] = features
    elif missing:
        computed = _compute(model, images, missing, request, num_processes)
        values |= {case_id: features for case_id, _, features in computed}
    elif keep:
        model.tidy()
    return SliceFeatures(dict(sorted(values.items())), digest)


def _look_up(
    folder: Path, digest: str, images: TrainingImages, cases: tuple[str, ...]
) -> tuple[dict[str, np.ndarray], tuple[str, ...]]:
    """Features that are there, and the cases of which there are none."""
    values, missing = {}, []
    for case_id in cases:
        known = _read_features(folder, case_id, digest, _source(images.raw.training[case_id]))
        if known is None:
            missing.append(case_id)
        else:
            values[case_id] = known
    return values, tuple(missing)


def _compute(
    model: ModelFolder,
    images: TrainingImages,
    cases: tuple[str, ...],
    request: MaeRequest,
    num_processes: int,
) -> Iterator[tuple[str, str, np.ndarray]]:
    """Case, source and features of one case after the other."""
    import torch

    if not cases:
        return
    trained = request.restore(model)
    network = trained.network
    try:
        canvas = Canvas(**trained.content["canvas"])
        fits = canvas.grid == tuple(network.grid) and canvas.patch == network.patch
        fits &= 0 < canvas.pixel_mm < math.inf
    except DAMAGED as error:
        raise model.damaged() from error
    if not fits:
        raise model.damaged()
    device = network.positions.device
    sources = {case_id: _source(images.raw.training[case_id]) for case_id in cases}
    for case_id, slices in read_canvases(images, cases, canvas, num_processes):
        if slices.shape[1] != network.channels:
            raise SparseError(
                f"case {case_id} has {slices.shape[1]} image channels, the network of {model.path} "
                f"{network.channels}"
            )
        parts = np.split(slices, range(_SLICES_AT_ONCE, len(slices), _SLICES_AT_ONCE))
        with torch.inference_mode():
            found = [network.features(torch.from_numpy(part).to(device).float()) for part in parts]
        yield case_id, sources[case_id], torch.cat(found).cpu().numpy()


def _write_features(
    folder: Path, case_id: str, features: np.ndarray, digest: str, source: str
) -> None:
    (folder / "features").mkdir(exist_ok=True)
    with atomic_path(folder / "features" / f"{case_id}.npz", folder) as temporary:
        np.savez(temporary, features=features, checkpoint=digest, source=source)


def _read_features(folder: Path, case_id: str, digest: str, source: str) -> np.ndarray | None:
    try:
        with np.load(folder / "features" / f"{case_id}.npz", allow_pickle=False) as content:
            if str(content["checkpoint"]) != digest or str(content["source"]) != source:
                return None
            return np.asarray(content["features"])
    except UNREADABLE_ARRAYS:
        return None


def _source(case: Case) -> str:
    """Names, sizes and times of a case's image files."""
    statuses = ((file, file.stat()) for file in case.images)
    return json.dumps([[file.name, s.st_size, s.st_mtime_ns] for file, s in statuses])
