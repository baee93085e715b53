"""Where the time of a recipe's batch goes, patch by patch, beside nnU-Net's own augmentation."""

import math
import statistics
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from batchgeneratorsv2.transforms.utils.compose import ComposeTransforms
from nnunetv2.training.dataloading.data_loader import nnUNetDataLoader
from nnunetv2.training.dataloading.nnunet_dataset import comp_blosc2_params, nnUNetDatasetBlosc2
from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer
from nnunetv2.utilities.label_handling.label_handling import LabelManager

from nnunet_sparse.trainers.seeding import seed_everything
from nnunet_sparse.trainers.sparse_loader import SparseDataLoader
from nnunet_sparse.training.augmentation import sparse_transforms
from nnunet_sparse.training.paper_recipes import PAPER
from nnunet_sparse.training.paper_tasks import TASKS, scaled
from nnunet_sparse.training.recipe_augmentation import initial_patch_size, recipe_transforms
from nnunet_sparse.training.settings import TrainingSettings

PARTS = ("reading", "cropping", "spatial", "bias field", "others", "nnU-Net")
_LABELS = LabelManager({"background": 0, "context": 1, "target": 2, "ignore": 3}, None)
_IGNORE = 3
_EVERY = 10
_NUM_CASES = 2
# slices of a volume from which patches of slices are cut
_SLICES = 20


def recipe_table(trainers: Sequence[str], scale: float, rounds: int, patches: int) -> str:
    """Milliseconds of processor time for one patch, as a table.

    Parameters
    ----------
    trainers
        Names of trainers of the paper.
    scale
        Of the published patch, as for planning.
    rounds, patches
        The median over rounds is shown, each of which is a mean over patches.
    """
    torch.set_num_threads(1)
    lines = [f"| trainer | patch | {' | '.join(PARTS)} | augmentation / nnU-Net's |"]
    lines.append("|---" * (len(PARTS) + 3) + "|")
    for name in trainers:
        with tempfile.TemporaryDirectory() as folder:
            size, found = _measured(name, scale, rounds, patches, Path(folder))
        times = {part: statistics.median(values) for part, values in found.items()}
        parts = (found[part] for part in ("spatial", "bias field", "others"))
        ours = [sum(of_round) for of_round in zip(*parts, strict=True)]
        ratio = statistics.median(a / b for a, b in zip(ours, found["nnU-Net"], strict=True))
        shown = " | ".join(f"{times[part]:.1f}" for part in PARTS)
        sides = "x".join(map(str, size))
        lines.append(f"| {name} | {sides} | {shown} | {ratio:.2f} |")
    return "\n".join(lines) + "\n"


def _measured(
    name: str, scale: float, rounds: int, patches: int, folder: Path
) -> tuple[tuple[int, ...], dict[str, list[float]]]:
    """Size of the patch, and milliseconds of every part in every round."""
    paper = PAPER[name]
    task = TASKS[paper.task]
    size = scaled(task.sizes[paper.dimensions], scale).patch_size
    spacing = task.spacing[-paper.dimensions :]
    initial = initial_patch_size(paper.recipe, size, spacing)
    for case in range(_NUM_CASES):
        _write_case(folder, f"case_{case}", size, case)
    stock = nnUNetDataLoader(nnUNetDatasetBlosc2(str(folder)), 1, initial, size, _LABELS)
    ours = recipe_transforms(paper.recipe, size, spacing, (len(size) - 1,), ())
    ours = sparse_transforms(ours, TrainingSettings(targets="nearest"), _IGNORE)
    loader = SparseDataLoader(stock, _LABELS, None, "inside", "uniform")
    theirs = _nnunets(size)
    found: dict[str, list[float]] = {part: [] for part in PARTS}
    for number in range(rounds + 1):
        seed_everything(number)
        times = dict.fromkeys(PARTS, 0.0)
        for _ in range(patches):
            _add_patch(loader, ours, theirs, times)
        # the first round fills caches
        for part, spent in times.items() if number else ():
            found[part].append(1e3 * spent / patches)
    return size, found


def _nnunets(size: Sequence[int]) -> ComposeTransforms:
    """nnU-Net's augmentation for patches of this size, without deep supervision."""
    most = math.pi if len(size) == 2 else math.pi / 6
    axes = tuple(range(len(size)))
    transforms = nnUNetTrainer.get_training_transforms(
        size, (-most, most), None, axes, False, ignore_label=_IGNORE
    )
    for transform in transforms.transforms:
        if hasattr(getattr(transform, "transform", None), "benchmark"):
            transform.transform.benchmark = False
    return transforms


@torch.no_grad()
def _add_patch(
    loader: SparseDataLoader,
    ours: ComposeTransforms,
    theirs: ComposeTransforms,
    times: dict[str, float],
) -> None:
    """Read, cut out and augment one patch, and add what each part took."""
    read = _Stopwatch()
    load = loader._data.load_case
    loader._data.load_case = lambda case: tuple(
        _TimedArray(part, read) if hasattr(part, "schunk") else part for part in load(case)
    )
    start = time.process_time()
    batch = loader.generate_train_batch()
    whole = time.process_time() - start
    loader._data.load_case = load
    times["reading"] += read.seconds
    times["cropping"] += whole - read.seconds
    image, label = batch["data"][0], batch["target"][0]
    copy = {"image": image.clone(), "segmentation": label.clone().clamp_(min=-1)}
    start = time.process_time()
    theirs(**copy)
    times["nnU-Net"] += time.process_time() - start
    sample = {"image": image, "segmentation": label}
    for transform in ours.transforms:
        start = time.process_time()
        sample = transform(**sample)
        times[_part(transform)] += time.process_time() - start


def _part(transform: Any) -> str:
    name = type(transform).__name__
    if "Spatial" in name:
        return "spatial"
    return "bias field" if "BiasField" in name else "others"


class _Stopwatch:
    seconds = 0.0


class _TimedArray:
    """An array on disk whose reading is timed."""

    def __init__(self, array: Any, stopwatch: _Stopwatch) -> None:
        self.array = array
        self.stopwatch = stopwatch
        self.shape = array.shape

    def __getitem__(self, index: Any) -> Any:
        start = time.process_time()
        values = self.array[index]
        self.stopwatch.seconds += time.process_time() - start
        return values


def _write_case(folder: Path, name: str, size: Sequence[int], seed: int) -> None:
    """A volume half as large again as the patch: a lesion in an organ, every tenth slice."""
    flat = len(size) == 2
    shape = (_SLICES, *size) if flat else tuple(side * 3 // 2 for side in size)
    rng = np.random.default_rng(seed)
    axes = np.meshgrid(*(np.linspace(-1, 1, side) for side in shape), indexing="ij", sparse=True)
    label = np.zeros((1, *shape), np.int16)
    label[0][sum(axis**2 for axis in axes) < 0.5] = 1
    label[0][sum((axis - 0.2) ** 2 for axis in axes) < 0.05] = 2
    image = (label + rng.normal(0, 0.3, label.shape)).astype(np.float32)
    planes = np.arange(seed, shape[0], _EVERY)
    label[:, np.setdiff1d(np.arange(shape[0]), planes)] = _IGNORE
    keys = (1, 2, (-1, 0, 1, 2))
    locations = {key: np.argwhere(np.isin(label, key))[::50] for key in keys}
    properties = {"class_locations": locations, "nnsparse": {"annotated_planes": planes}}
    patch = (1, *size) if flat else tuple(size)
    blocks, chunks = comp_blosc2_params(image.shape, patch)
    nnUNetDatasetBlosc2.save_case(
        image,
        label,
        properties,
        str(folder / name),
        chunks=chunks,
        blocks=blocks,
        chunks_seg=chunks,
        blocks_seg=blocks,
    )
