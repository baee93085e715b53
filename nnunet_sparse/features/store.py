"""Masked autoencoders and features of a base, kept in ``nnUNet_preprocessed/BASE/nnsparse``.

``mae_PRESET_axisA_seedS/`` holds ``checkpoint.pth`` (the trained network), ``training.json`` (how
it was trained), ``loss.png``, ``reconstructions.png`` and ``features/CASE.npz``. Features keep a
hash of the checkpoint and the names, sizes and times of the image files that they were made from:
when the network or an image has changed, they are computed again.
"""

import hashlib
import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from nnunet_sparse.atomic import atomic_path, remove_leftovers, write_json
from nnunet_sparse.errors import SparseError
from nnunet_sparse.features.canvas import Canvas, plan_canvas
from nnunet_sparse.features.default import DEFAULT_PRESET
from nnunet_sparse.features.slices import read_slices
from nnunet_sparse.geometry import read_geometry
from nnunet_sparse.locks import locked
from nnunet_sparse.parallel import map_cases
from nnunet_sparse.paths import NnUNetPaths
from nnunet_sparse.raw_dataset import Case, RawDataset

logger = logging.getLogger(__name__)

CHECKPOINT = "checkpoint.pth"
RECORD = "training.json"
_LATEST = "checkpoint_latest.pth"
_VERSION = 1
_SLICES_AT_ONCE = 64
_CURVE, _PICTURE = "loss.png", "reconstructions.png"


@dataclass(frozen=True)
class MaeRequest:
    """Which masked autoencoder is wanted.

    Attributes
    ----------
    preset
        Name of its preset.
    seed
        Seed of its training.
    device
        Where it is trained and used; None for a GPU if there is one.
    """

    preset: str = DEFAULT_PRESET
    seed: int = 0
    device: str | None = None


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


def mae_folder(paths: NnUNetPaths, base: str, request: MaeRequest, axis: int) -> Path:
    """Where a masked autoencoder of a base and its features are kept."""
    name = f"mae_{request.preset}_axis{axis}_seed{request.seed}"
    return paths.preprocessed / base / "nnsparse" / name


def train_mae(
    paths: NnUNetPaths,
    raw: RawDataset,
    cases: tuple[str, ...],
    axis: int,
    request: MaeRequest,
    num_processes: int,
    overwrite: bool = False,
) -> Path:
    """Train a masked autoencoder on images, unless that has been done; labels are not read.

    Parameters
    ----------
    paths
        nnU-Net's folders.
    raw
        The base.
    cases
        Training cases, whose images are used.
    axis
        Slice axis.
    request
        Which one.
    num_processes
        Processes that read images.
    overwrite
        Train again what is there.

    Returns
    -------
    Path
        Its folder.

    Raises
    ------
    SparseError
        If an image cannot be read, or the preset or device is unknown.
    """
    from nnunet_sparse.features.presets import find_preset
    from nnunet_sparse.features.training import best_device, train

    preset, device = find_preset(request.preset), best_device(request.device)
    folder = mae_folder(paths, raw.name, request, axis)
    folder.mkdir(parents=True, exist_ok=True)
    with locked(folder / ".lock"):
        remove_leftovers(folder)
        if (folder / CHECKPOINT).is_file() and not overwrite:
            return folder
        canvas = _plan_canvas(raw, cases, axis, preset.max_side)
        read = partial(read_slices, reader=raw.reader(), axis=axis, canvas=canvas)
        images = {case_id: raw.training[case_id].images for case_id in cases}
        volumes = map_cases(read, images, num_processes, "Reading slices")
        slices = np.concatenate(list(volumes.values()))
        record = {
            "version": _VERSION,
            "base": raw.name,
            "axis": axis,
            "preset": request.preset,
            "seed": request.seed,
            "canvas": canvas.to_json(),
            "cases": sorted(cases),
            "num_slices": len(slices),
            "num_steps": preset.num_steps(len(slices), canvas.grid[0] * canvas.grid[1]),
        }
        latest = folder / _LATEST
        _forget_other_training(folder, record)
        write_json(folder / RECORD, record)
        logger.info(
            "Training a masked autoencoder (%s) on %d slices of %d volumes, %d steps on %s",
            request.preset,
            len(slices),
            len(cases),
            record["num_steps"],
            device,
        )
        network, losses = train(
            slices, preset, canvas.grid, canvas.patch, request.seed, latest, device
        )
        _finish(folder, network, losses, record, slices)
        latest.unlink(missing_ok=True)
    return folder


def slice_features(
    paths: NnUNetPaths,
    raw: RawDataset,
    cases: tuple[str, ...],
    axis: int,
    request: MaeRequest,
    num_processes: int,
    keep: bool = True,
) -> SliceFeatures:
    """Features of the slices of training cases, computed where they are missing or outdated.

    Parameters
    ----------
    paths, raw, cases, axis, request, num_processes
        As for :func:`train_mae`.
    keep
        Whether features that are computed are written.

    Raises
    ------
    SparseError
        If there is no trained network, or an image cannot be read.
    """
    folder = mae_folder(paths, raw.name, request, axis)
    checkpoint = folder / CHECKPOINT
    if not checkpoint.is_file():
        raise SparseError(f"no masked autoencoder in {folder}: nnsparse_train_mae -d {raw.name}")
    digest = hashlib.sha256(checkpoint.read_bytes()).hexdigest()[:16]
    sources = {case_id: _source(raw.training[case_id]) for case_id in cases}
    values: dict[str, np.ndarray] = {}
    missing: dict[str, Case] = {}
    for case_id, source in sources.items():
        known = _read_features(folder, case_id, digest, source)
        if known is None:
            missing[case_id] = raw.training[case_id]
        else:
            values[case_id] = known
    if missing:
        values |= _compute(folder, missing, raw.reader(), axis, request, num_processes)
    if missing and keep:
        (folder / "features").mkdir(exist_ok=True)
        for case_id in missing:
            with atomic_path(folder / "features" / f"{case_id}.npz", folder) as temporary:
                np.savez(
                    temporary,
                    features=values[case_id],
                    checkpoint=digest,
                    source=sources[case_id],
                )
    return SliceFeatures(dict(sorted(values.items())), digest)


def read_record(folder: Path) -> dict[str, Any]:
    """How the network of a folder was trained."""
    content: dict[str, Any] = json.loads((folder / RECORD).read_text(encoding="utf-8"))
    return content


def _plan_canvas(raw: RawDataset, cases: tuple[str, ...], axis: int, max_side: int) -> Canvas:
    shapes, spacings = [], []
    for case_id in cases:
        geometry = read_geometry(raw.training[case_id].images[0], raw.reader())
        spacing = np.ones(3)
        if geometry.affine is not None:
            spacing = np.linalg.norm(geometry.affine[:3, :3], axis=0)
        rows, columns = (other for other in range(3) if other != axis)
        shapes.append((geometry.shape[rows], geometry.shape[columns]))
        spacings.append((float(spacing[rows]), float(spacing[columns])))
    return plan_canvas(shapes, spacings, max_side)


def _forget_other_training(folder: Path, record: Mapping[str, Any]) -> None:
    """Remove the state of a killed training on other slices."""
    before = read_record(folder) if (folder / RECORD).is_file() else None
    if before != json.loads(json.dumps(record)) or (folder / CHECKPOINT).is_file():
        (folder / _LATEST).unlink(missing_ok=True)


def _finish(
    folder: Path, network: Any, losses: list[float], record: Mapping[str, Any], slices: np.ndarray
) -> None:
    import torch

    from nnunet_sparse.features.pictures import draw_loss, draw_reconstructions

    draw_loss(losses, folder / _CURVE)
    draw_reconstructions(network, slices, folder / _PICTURE)
    content = {
        "config": network.config,
        "canvas": record["canvas"],
        "network": network.state_dict(),
        "losses": losses,
    }
    with atomic_path(folder / CHECKPOINT) as temporary:
        torch.save(content, temporary)


def _compute(
    folder: Path,
    cases: Mapping[str, Case],
    reader: str,
    axis: int,
    request: MaeRequest,
    num_processes: int,
) -> dict[str, np.ndarray]:
    import torch

    from nnunet_sparse.features.mae import MaskedAutoencoder
    from nnunet_sparse.features.training import best_device

    device = best_device(request.device)
    content = torch.load(folder / CHECKPOINT, map_location="cpu", weights_only=True)
    network = MaskedAutoencoder.from_config(content["config"])
    network.load_state_dict(content["network"])
    network.eval().to(device)
    read = partial(read_slices, reader=reader, axis=axis, canvas=Canvas(**content["canvas"]))
    images = {case_id: case.images for case_id, case in cases.items()}
    volumes = map_cases(read, images, num_processes, "Reading slices")
    values = {}
    for case_id, slices in volumes.items():
        parts = np.split(slices, range(_SLICES_AT_ONCE, len(slices), _SLICES_AT_ONCE))
        with torch.inference_mode():
            found = [network.features(torch.from_numpy(part).to(device).float()) for part in parts]
        values[case_id] = torch.cat(found).cpu().numpy()
    return values


def _read_features(folder: Path, case_id: str, digest: str, source: str) -> np.ndarray | None:
    try:
        with np.load(folder / "features" / f"{case_id}.npz", allow_pickle=False) as content:
            if str(content["checkpoint"]) != digest or str(content["source"]) != source:
                return None
            return np.asarray(content["features"])
    except Exception:  # missing or damaged: to be computed
        return None


def _source(case: Case) -> str:
    """Names, sizes and times of a case's image files."""
    statuses = ((file, file.stat()) for file in case.images)
    return json.dumps([[file.name, s.st_size, s.st_mtime_ns] for file, s in statuses])
