"""Are the phantoms hard enough that more annotation helps?

For each task and seed, one small 2D U-Net is trained on all slices of the training volumes and one
on 2 % of them, for the same number of iterations, and both are scored on separate volumes with
batched IoU. Every task and seed should lose at least 0.1.

    python benchmarks/phantom_difficulty.py --output phantom_difficulty.md
"""

import argparse
import logging
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from dynamic_network_architectures.architectures.unet import PlainConvUNet
from torch import nn

from nnunet_sparse.phantoms import PHANTOM_TASKS, make_case
from nnunet_sparse.system.atomic import write_json, write_text
from nnunet_sparse.system.command import CommandParser, positive_int, run_command
from nnunet_sparse.system.errors import SparseError

logger = logging.getLogger(__name__)

SCORED_LABEL = {"lesion": "tumour", "organ": "breast", "tree": "tissue", "subtle": "lesion"}
REQUIRED_GAP = 0.1
# the harder tasks take longer: tumours are found only after the liver is
NUM_ITERATIONS = {"lesion": 1000, "organ": 400, "tree": 800, "subtle": 800}
_TEST_CASES_FROM = 100_000


@dataclass(frozen=True)
class Setup:
    """What is compared, and how long it is trained."""

    task: str
    seed: int
    num_train: int = 24
    num_test: int = 12
    # two thirds of the default resolution: a third of the time
    shape: tuple[int, int, int] = (32, 64, 64)
    spacing_mm: tuple[float, float, float] = (7.5, 5.625, 5.625)
    density: float = 0.02
    num_iterations: int = 400
    batch_size: int = 8
    learning_rate: float = 5e-3
    features: int = 8


@dataclass(frozen=True)
class Volumes:
    """Cases of one split: images (case, z, y, x), normalised, and labels (case, z, y, x)."""

    images: torch.Tensor
    labels: torch.Tensor


@dataclass(frozen=True)
class Row:
    """Scores of one task and seed, by label."""

    task: str
    seed: int
    num_sparse: int
    num_all: int
    sparse_iou: dict[str, float]
    dense_iou: dict[str, float]

    @property
    def gap(self) -> float:
        """Gain of the scored label by annotating everything."""
        label = SCORED_LABEL[self.task]
        return self.dense_iou[label] - self.sparse_iou[label]


def load(setup: Setup) -> tuple[Volumes, Volumes]:
    """Make and normalise the training and test volumes, with the training set's statistics."""
    train, test = (
        [
            make_case(setup.task, setup.seed, start + k, setup.shape, setup.spacing_mm)
            for k in range(count)
        ]
        for start, count in ((0, setup.num_train), (_TEST_CASES_FROM, setup.num_test))
    )
    is_ct = PHANTOM_TASKS[setup.task].channel_name == "CT"
    foreground = np.concatenate([case.image[case.label > 0] for case in train])
    low, high = (float(p) for p in np.percentile(foreground, [0.5, 99.5]))
    mean, std = float(foreground.mean()), float(foreground.std())
    splits = []
    for cases in (train, test):
        images: np.ndarray = np.stack([case.image for case in cases]).astype(np.float32)
        if is_ct:
            images = (images.clip(low, high) - mean) / std
        else:
            images -= images.mean(axis=(1, 2, 3), keepdims=True)
            images /= images.std(axis=(1, 2, 3), keepdims=True)
        labels = np.stack([case.label for case in cases]).astype(np.int64)
        splits.append(Volumes(torch.from_numpy(images), torch.from_numpy(labels)))
    return splits[0], splits[1]


def annotated_slices(shape: tuple[int, int], density: float, seed: int) -> np.ndarray:
    """Random slices, equally many per volume; below one per volume, of a share of the volumes.

    Parameters
    ----------
    shape
        Number of volumes, slices per volume.
    density
        Share of all slices that are annotated.
    seed
        Seed of the choice.

    Returns
    -------
    np.ndarray, shape (n, 2), int64
        Volume and slice index.
    """
    num_volumes, num_slices = shape
    rng = np.random.default_rng([seed, 1])
    per_volume = max(1, int(density * num_slices + 0.5))
    volumes = min(num_volumes, max(1, int(density * num_slices * num_volumes / per_volume + 0.5)))
    return np.array(
        [
            (volume, index)
            for volume in rng.permutation(num_volumes)[:volumes]
            for index in sorted(rng.permutation(num_slices)[:per_volume])
        ]
    )


def build_network(features: int, num_classes: int) -> nn.Module:
    """Small U-Net of four stages."""
    network: nn.Module = PlainConvUNet(
        input_channels=1,
        n_stages=4,
        features_per_stage=[features * 2**stage for stage in range(4)],
        conv_op=nn.Conv2d,
        kernel_sizes=3,
        strides=[1, 2, 2, 2],
        n_conv_per_stage=2,
        num_classes=num_classes,
        n_conv_per_stage_decoder=1,
        conv_bias=True,
        norm_op=nn.InstanceNorm2d,
        norm_op_kwargs={"affine": True},
        nonlin=nn.LeakyReLU,
        nonlin_kwargs={"inplace": True},
        deep_supervision=False,
    )
    return network


def loss_function(logits: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """Cross-entropy plus soft Dice of the foreground labels over the batch."""
    probabilities = logits.softmax(1)[:, 1:]
    one_hot = F.one_hot(target, logits.shape[1]).movedim(-1, 1)[:, 1:].to(logits.dtype)
    overlap = (probabilities * one_hot).sum((0, 2, 3))
    size = (probabilities + one_hot).sum((0, 2, 3))
    dice = (2 * overlap + 1) / (size + 1)
    return F.cross_entropy(logits, target) + 1 - dice.mean()


def train_network(setup: Setup, data: Volumes, annotated: np.ndarray) -> nn.Module:
    """Train on the annotated slices; a third of each batch shows a random foreground label."""
    torch.manual_seed(setup.seed)
    rng = np.random.default_rng([setup.seed, 2])
    network = build_network(setup.features, len(PHANTOM_TASKS[setup.task].labels))
    network = network.to(memory_format=torch.channels_last)  # a quarter faster on a CPU
    optimizer = torch.optim.AdamW(network.parameters(), lr=setup.learning_rate)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, setup.num_iterations)
    volume, index = torch.from_numpy(annotated.T)
    images, labels = data.images[volume, index], data.labels[volume, index]
    values = [v for v in PHANTOM_TASKS[setup.task].labels.values() if v and (labels == v).any()]
    shown = [np.flatnonzero((labels == v).any(2).any(1).numpy()) for v in values]
    num_shown = setup.batch_size // 3 if shown else 0
    for _ in range(setup.num_iterations):
        batch = rng.integers(len(images), size=setup.batch_size)
        for k in range(num_shown):
            batch[k] = rng.choice(shown[rng.integers(len(shown))])
        flips = [d for d in (1, 2) if rng.random() < 0.5]
        x, y = images[batch].flip(flips)[:, None], labels[batch].flip(flips)
        loss = loss_function(network(x), y)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(network.parameters(), 12)
        optimizer.step()
        schedule.step()
    return network.eval()


@torch.no_grad()
def batched_iou(network: nn.Module, data: Volumes, labels: dict[str, int]) -> dict[str, float]:
    """IoU per foreground label, of voxels pooled over all volumes."""
    predicted = torch.stack([network(v[:, None]).argmax(1) for v in data.images])
    scores = {}
    for name, value in labels.items():
        if value:
            found, truth = predicted == value, data.labels == value
            scores[name] = float((found & truth).sum() / (found | truth).sum())
    return scores


def compare(setup: Setup) -> Row:
    """Score one task and seed with sparse and with complete annotation."""
    train, test = load(setup)
    num_volumes, num_slices = train.images.shape[:2]
    scores = []
    for density in (setup.density, 1.0):
        annotated = annotated_slices((num_volumes, num_slices), density, setup.seed)
        network = train_network(setup, train, annotated)
        scores.append(batched_iou(network, test, PHANTOM_TASKS[setup.task].labels))
        logger.info(
            "%s, seed %d, %d slices: %s", setup.task, setup.seed, len(annotated), scores[-1]
        )
    num_sparse = len(annotated_slices((num_volumes, num_slices), setup.density, setup.seed))
    return Row(setup.task, setup.seed, num_sparse, num_volumes * num_slices, *scores)


def table(rows: Sequence[Row], density: float) -> str:
    """Markdown table, one line per task, seed and label; the scored labels are bold."""
    lines = [
        f"| task | seed | label | slices | IoU, {density:.0%} | IoU, all | gap |",
        "|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        for label, score in row.dense_iou.items():
            name = f"**{label}**" if label == SCORED_LABEL[row.task] else label
            lines.append(
                f"| {row.task} | {row.seed} | {name} | {row.num_sparse} of {row.num_all} "
                f"| {row.sparse_iou[label]:.3f} | {score:.3f} "
                f"| {score - row.sparse_iou[label]:+.3f} |"
            )
    return "\n".join(lines) + "\n"


def main(argv: Sequence[str] | None = None) -> int:
    """Command line."""
    parser = CommandParser(
        "phantom_difficulty",
        "Compare training on 2 % and on all slices of the phantoms.",
        "phantom_difficulty --output phantom_difficulty.md",
    )
    parser.add_argument("--tasks", nargs="+", choices=PHANTOM_TASKS, default=list(PHANTOM_TASKS))
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--density", type=float, default=Setup.density)
    parser.add_argument("--num_train", type=positive_int, default=Setup.num_train)
    parser.add_argument("--num_test", type=positive_int, default=Setup.num_test)
    parser.add_argument(
        "--num_iterations", type=positive_int, help=f"of all tasks (default: {NUM_ITERATIONS})"
    )
    parser.add_argument(
        "--threads",
        type=positive_int,
        default=1,
        help="of torch; another number gives slightly different scores (default: %(default)s)",
    )
    parser.add_argument("--output", type=Path, help="file to write, .md or .json")
    return run_command(parser, _run, argv)


def _run(args: argparse.Namespace) -> None:
    if args.output and args.output.suffix not in (".md", ".json"):
        raise SparseError(f"--output must end in .md or .json, got {args.output}")
    torch.set_num_threads(args.threads)
    torch.use_deterministic_algorithms(True)
    base = Setup(
        "",
        0,
        num_train=args.num_train,
        num_test=args.num_test,
        density=args.density,
    )
    setups = [
        replace(
            base,
            task=task,
            seed=seed,
            num_iterations=args.num_iterations or NUM_ITERATIONS[task],
        )
        for task in args.tasks
        for seed in args.seeds
    ]
    start = time.perf_counter()
    rows = [compare(setup) for setup in setups]
    minutes = (time.perf_counter() - start) / 60
    text = table(rows, args.density)
    print(text)
    print(
        f"smallest gap of the scored labels (bold): {min(row.gap for row in rows):.3f} "
        f"(required: {REQUIRED_GAP}); {minutes:.1f} minutes with {args.threads} threads"
    )
    if args.output and args.output.suffix == ".json":
        content = {
            "rows": [asdict(row) for row in rows],
            "setups": [asdict(setup) for setup in setups],
            "minutes": round(minutes, 1),
        }
        write_json(args.output, content)
    elif args.output:
        write_text(args.output, text)


if __name__ == "__main__":
    sys.exit(main())
