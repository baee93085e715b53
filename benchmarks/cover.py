r"""Greedy maximum cover: speed and memory, and the same picks as the textbook's.

    python benchmarks/cover.py

Slices are those of made-up volumes: random walks in feature space, since neighbouring slices are
alike. First, the time and peak memory of the whole selector and of its greedy choice alone, each in
a process of its own. Second, on a size where that still ends, the same choice by computing F for
every candidate in every step, in turns with ours.
"""

import argparse
import json
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence

import numpy as np

from nnunet_sparse.selectors import Pool, get_selector
from nnunet_sparse.selectors.cover import greedy_cover, unit_rows
from nnunet_sparse.system.command import CommandParser, positive_int, run_command
from nnunet_sparse.system.randomness import generator

_SLICES_PER_VOLUME = 50


def main(argv: Sequence[str] | None = None) -> int:
    """Parse the arguments and run everything."""
    parser = CommandParser("cover.py", "Speed of the greedy cover.", "cover.py")
    parser.add_argument("--slices", type=positive_int, default=20_000)
    parser.add_argument("--features", type=positive_int, default=192)
    parser.add_argument("--budget", type=positive_int, default=2_000)
    parser.add_argument("--small", type=positive_int, default=1_200, help="size for both ways")
    parser.add_argument("--rounds", type=positive_int, default=3)
    parser.add_argument("--one", choices=_WAYS, help=argparse.SUPPRESS)
    return run_command(parser, _run, argv)


def _run(args: argparse.Namespace) -> None:
    if args.one:
        print(json.dumps(_measure(args)))
        return
    print("| slices | budget | what | seconds | peak memory GB |\n|---|---|---|---|---|")
    for way in _WAYS:
        sizes = ("--slices", args.slices, "--features", args.features, "--budget", args.budget)
        command = [sys.executable, __file__, "--one", way, *map(str, sizes)]
        found = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
        print(
            f"| {args.slices} | {args.budget} | {way} | {found['seconds']:.1f} "
            f"| {found['peak_gb']:.2f} |"
        )
    budget = args.small // 10
    unit = unit_rows(volumes(args.small, args.features))
    everything = np.arange(args.small)
    ours, textbook = [], []
    for _ in range(args.rounds):
        start = time.perf_counter()
        picks = greedy_cover(unit, everything, everything, budget)
        middle = time.perf_counter()
        same = picks == _textbook(unit, budget)
        textbook.append(time.perf_counter() - middle)
        ours.append(middle - start)
    seconds = [statistics.median(times) for times in (ours, textbook)]
    print(
        f"\n{args.small} slices, budget {budget}: {seconds[0]:.3f} s, F for every candidate "
        f"{seconds[1]:.2f} s, ratio {seconds[1] / seconds[0]:.0f}, "
        f"{'the same' if same else 'OTHER'} picks"
    )


def volumes(num_slices: int, num_features: int, seed: int = 0) -> np.ndarray:
    """Features (num_slices, num_features) that change little from slice to slice."""
    rng = np.random.default_rng(seed)
    count = -(-num_slices // _SLICES_PER_VOLUME)
    start = rng.normal(size=(count, 1, num_features))
    steps = 0.3 * rng.normal(size=(count, _SLICES_PER_VOLUME, num_features))
    return (start + steps.cumsum(axis=1)).reshape(-1, num_features)[:num_slices]


_WAYS = ("greedy cover", "selector ual")


def _measure(args: argparse.Namespace) -> dict[str, float]:
    features = volumes(args.slices, args.features)
    start = time.perf_counter()
    if args.one == "greedy cover":
        everything = np.arange(len(features))
        greedy_cover(unit_rows(features), everything, everything, args.budget)
    else:
        pool = Pool.of_volume(len(features), features=features)
        get_selector("ual").select(pool, args.budget, generator(0))
    seconds = time.perf_counter() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return {"seconds": seconds, "peak_gb": peak / 2**20}


def _textbook(unit: np.ndarray, budget: int) -> list[int]:
    """Greedy choice that computes F for every candidate in every step, from all similarities."""
    similarity = unit @ unit.T
    picks: list[int] = []
    for _ in range(budget):
        values = np.full(len(unit), -np.inf)
        for candidate in range(len(unit)):
            if candidate not in picks:
                values[candidate] = similarity[[*picks, candidate]].max(axis=0).sum()
        equal = values >= values.max() - 1e-9 * len(unit)
        picks.append(int(np.argmax(equal)))
    return picks


if __name__ == "__main__":
    sys.exit(main())
