"""Masked autoencoders and features of a base, kept in ``nnUNet_preprocessed/BASE/nnsparse``.

``mae_PRESET_axisA_seedS/`` holds ``checkpoint.pth`` (the trained network), ``training.json`` (how
it was trained), ``loss.png``, ``reconstructions.png`` and ``features/CASE.npz``. Features keep a
hash of the checkpoint and the names, sizes and times of the image files that they were made from:
when the network or an image has changed, they are computed again.
"""

import json
import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from nnunet_sparse.data.geometry import read_geometry, read_spacing
from nnunet_sparse.data.raw_dataset import Case, RawDataset
from nnunet_sparse.features.canvas import Canvas, plan_canvas
from nnunet_sparse.features.default import DEFAULT_PRESET, PRESET_NAMES
from nnunet_sparse.features.slices import read_slices
from nnunet_sparse.system.atomic import atomic_path
from nnunet_sparse.system.devices import best_device
from nnunet_sparse.system.errors import SparseError
from nnunet_sparse.system.model_folder import ModelFolder
from nnunet_sparse.system.parallel import iterate_cases
from nnunet_sparse.system.paths import NnUNetPaths

logger = logging.getLogger(__name__)

_VERSION = 1
_SLICES_AT_ONCE = 64
_CASES_PER_PROCESS = 4
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

    def __post_init__(self) -> None:
        if self.preset not in PRESET_NAMES:
            raise SparseError(
                f"unknown preset {self.preset!r}, choose from {', '.join(PRESET_NAMES)}"
            )


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


def mae_model(paths: NnUNetPaths, base: str, request: MaeRequest, axis: int) -> ModelFolder:
    """Where a masked autoencoder of a base and its features are kept."""
    name = f"mae_{request.preset}_axis{axis}_seed{request.seed}"
    return ModelFolder(
        paths.preprocessed / base / "nnsparse" / name, train_command(base, axis, request)
    )


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

    A training that was killed goes on where it was; calls at the same time wait for each other.

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
        If an image cannot be read or has another number of channels than the data set, the preset
        or device is unknown, or a network is there that was trained on other images.
    """
    from nnunet_sparse.features.mae_pictures import draw_reconstructions
    from nnunet_sparse.features.mae_presets import PRESETS
    from nnunet_sparse.features.mae_training import train
    from nnunet_sparse.system.figures import draw_loss

    preset, device = PRESETS[request.preset], best_device(request.device)
    canvas, num_slices = _plan(raw, cases, axis, preset.max_side)
    record = {
        "version": _VERSION,
        "base": raw.name,
        "axis": axis,
        "preset": request.preset,
        "seed": request.seed,
        "canvas": canvas.to_json(),
        "channels": raw.num_channels,
        "cases": sorted(cases),
        "num_slices": sum(num_slices.values()),
    }
    model = mae_model(paths, raw.name, request, axis)
    with model.training(record, overwrite) as needed:
        if not needed:
            return model.path
        slices = _read_all(raw, num_slices, axis, canvas, num_processes)
        num_steps = preset.num_steps(len(slices), canvas.grid[0] * canvas.grid[1])
        logger.info(
            "Training a masked autoencoder (%s) on %d slices of %d volumes, %d steps on %s",
            request.preset,
            len(slices),
            len(cases),
            num_steps,
            device,
        )
        network, losses = train(
            slices, preset, canvas.grid, canvas.patch, request.seed, model.latest, device, record
        )
        draw_loss(losses, model.path / _CURVE, "loss on hidden patches")
        draw_reconstructions(network, slices, model.path / _PICTURE)
        content = {
            "config": network.config,
            "canvas": record["canvas"],
            "network": network.state_dict(),
            "losses": losses,
        }
        model.finish(content, {**record, "num_steps": len(losses)})
    return model.path


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
    model = mae_model(paths, raw.name, request, axis)
    digest = model.digest("masked autoencoder")
    chosen = {case_id: raw.training[case_id] for case_id in cases}
    values, missing = _look_up(model.path, digest, chosen)
    if missing and keep:
        with model.lock():
            found, missing = _look_up(model.path, digest, missing)
            values |= found
            computed = _compute(model, missing, raw.reader(), axis, request, num_processes)
            for case_id, source, features in computed:
                _write_features(model.path, case_id, features, digest, source)
                values[case_id] = features
    elif missing:
        computed = _compute(model, missing, raw.reader(), axis, request, num_processes)
        values |= {case_id: features for case_id, _, features in computed}
    return SliceFeatures(dict(sorted(values.items())), digest)


def train_command(base: str, axis: int, request: MaeRequest) -> str:
    """Command that trains the masked autoencoder of a request."""
    command = f"nnsparse_train_mae -d {base} --axis {axis}"
    if request.preset != DEFAULT_PRESET:
        command += f" --mae {request.preset}"
    return command + (f" --mae_seed {request.seed}" if request.seed else "")


def _plan(
    raw: RawDataset, cases: tuple[str, ...], axis: int, max_side: int
) -> tuple[Canvas, dict[str, int]]:
    """Canvas for the slices of all cases, and the number of slices of each."""
    shapes, spacings, num_slices = [], [], {}
    rows, columns = (other for other in range(3) if other != axis)
    for case_id in cases:
        image = raw.training[case_id].images[0]
        shape = read_geometry(image, raw.reader()).shape
        spacing = read_spacing(image, raw.reader())
        shapes.append((shape[rows], shape[columns]))
        spacings.append((spacing[rows], spacing[columns]))
        num_slices[case_id] = shape[axis]
    return plan_canvas(shapes, spacings, max_side), num_slices


def _read_all(
    raw: RawDataset,
    num_slices: Mapping[str, int],
    axis: int,
    canvas: Canvas,
    num_processes: int,
) -> np.ndarray:
    """Slices of all cases, (n, channel, height, width) float16."""
    shape = (sum(num_slices.values()), raw.num_channels, canvas.height, canvas.width)
    slices = np.empty(shape, np.float16)
    cases = {case_id: raw.training[case_id] for case_id in num_slices}
    first = 0
    for case_id, volume in _read_volumes(cases, raw.reader(), axis, canvas, num_processes):
        if volume.shape[:2] != (num_slices[case_id], raw.num_channels):
            raise SparseError(
                f"case {case_id} has {volume.shape[1]} image channels, dataset.json declares "
                f"{raw.num_channels}"
            )
        slices[first : first + len(volume)] = volume
        first += len(volume)
    return slices


def _read_volumes(
    cases: Mapping[str, Case], reader: str, axis: int, canvas: Canvas, num_processes: int
) -> Iterator[tuple[str, np.ndarray]]:
    """Slices of one case after the other; only some cases are in memory at a time."""
    read = partial(read_slices, reader=reader, axis=axis, canvas=canvas)
    images = {case_id: case.images for case_id, case in cases.items()}
    return iterate_cases(read, images, num_processes, "Reading slices", _CASES_PER_PROCESS)


def _look_up(
    folder: Path, digest: str, cases: Mapping[str, Case]
) -> tuple[dict[str, np.ndarray], dict[str, Case]]:
    """Features that are there, and the cases of which there are none."""
    values, missing = {}, {}
    for case_id, case in cases.items():
        known = _read_features(folder, case_id, digest, _source(case))
        if known is None:
            missing[case_id] = case
        else:
            values[case_id] = known
    return values, missing


def _compute(
    model: ModelFolder,
    cases: Mapping[str, Case],
    reader: str,
    axis: int,
    request: MaeRequest,
    num_processes: int,
) -> Iterator[tuple[str, str, np.ndarray]]:
    """Case, source and features of one case after the other."""
    import torch

    from nnunet_sparse.features.mae import MaskedAutoencoder

    if not cases:
        return
    device = best_device(request.device)
    content = model.load()
    try:
        network = MaskedAutoencoder.from_config(content["config"])
        network.load_state_dict(content["network"])
    except (KeyError, TypeError, RuntimeError) as error:
        raise model.damaged() from error
    network.eval().to(device)
    sources = {case_id: _source(case) for case_id, case in cases.items()}
    volumes = _read_volumes(cases, reader, axis, Canvas(**content["canvas"]), num_processes)
    for case_id, slices in volumes:
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
    except Exception:  # missing or damaged: to be computed
        return None


def _source(case: Case) -> str:
    """Names, sizes and times of a case's image files."""
    statuses = ((file, file.stat()) for file in case.images)
    return json.dumps([[file.name, s.st_size, s.st_mtime_ns] for file, s in statuses])
