r"""Local affinity in tiles against the published way: time, peak memory, and the same result.

    python benchmarks/affinity.py            # on a GPU: --device cuda

The published way stands a shifted copy of the reference's features in memory for every shift, and
multiplies them with the target's. Each way runs in a process of its own for its peak memory, and in
turns with the other for its time. Operations and bytes are counted, so that the hardware's limit
can be told: at least every product of the window has to be computed, and every feature read once.
"""

import argparse
import json
import re
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F

from nnunet_sparse.interpolation.affinity import local_affinity
from nnunet_sparse.system.command import CommandParser, positive_int, run_command


def by_shifted_copies(
    query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, radius: int
) -> torch.Tensor:
    """The published way; shifts out of the slice do not count, as in ours."""
    height, width = query.shape[2:]
    shifts = [(y, x) for y in range(2 * radius + 1) for x in range(2 * radius + 1)]

    def copies(image: torch.Tensor, fill: float = 0.0) -> torch.Tensor:
        around = F.pad(image, (radius,) * 4, value=fill)
        return torch.cat([around[:, None, :, y : y + height, x : x + width] for y, x in shifts], 1)

    outside = copies(torch.zeros_like(key[:, :1]), 1.0)[:, :, 0]
    product = (query[:, None] * copies(key)).sum(dim=2).masked_fill(outside > 0, -torch.inf)
    return (product.softmax(dim=1)[:, :, None] * copies(value)).sum(dim=1)


_WAYS = {"shifted copies": by_shifted_copies, "tiles": local_affinity}


def main(argv: Sequence[str] | None = None) -> int:
    """Parse the arguments and run everything."""
    return run_command(arguments(), _run, argv)


def arguments() -> CommandParser:
    """Options, with the published size as their defaults."""
    parser = CommandParser("affinity.py", "Speed of the local affinity.", "affinity.py")
    parser.add_argument("--side", type=positive_int, default=256)
    parser.add_argument("--features", type=positive_int, default=64)
    parser.add_argument("--labels", type=positive_int, default=1)
    parser.add_argument("--radius", type=positive_int, default=6)
    parser.add_argument("--rounds", type=positive_int, default=5)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--one", choices=("nothing", *_WAYS), help=argparse.SUPPRESS)
    return parser


def _run(args: argparse.Namespace) -> None:
    if args.one:
        print(json.dumps(_peak(args, _tensors(args))))
        return
    found = compare(args)
    print("| way | ms | peak memory MB | Gflop/s of the window's products |\n|---|---|---|---|")
    for name in _WAYS:
        way = found[name]
        print(f"| {name} | {1e3 * way['s']:.1f} | {way['mb']:.0f} | {way['gflops']:.0f} |")
    ours, theirs = found["tiles"], found["shifted copies"]
    rate = found["gflops_of_a_product"]
    limit = found["gflop"] / rate
    print(
        f"\n{theirs['s'] / ours['s']:.1f} times faster, memory {theirs['mb'] / ours['mb']:.1f} "
        f"times smaller, largest difference {found['difference']:.1e}\n{found['gflop']:.2f} Gflop "
        f"and {found['mb_at_least']:.0f} MB at least; a matrix product reaches {rate:.0f} Gflop/s "
        f"here, so that the limit is {1e3 * limit:.1f} ms, {limit / ours['s']:.0%} of what it takes"
    )


def compare(args: argparse.Namespace) -> dict[str, Any]:
    """Both ways.

    Parameters
    ----------
    args
        The options of this script.

    Returns
    -------
    dict
        For each way ``s``, ``mb`` (peak memory) and ``gflops`` (per second); ``difference``;
        ``gflop`` and ``mb_at_least`` of the window; ``gflops_of_a_product`` (per second).
    """
    tensors = _tensors(args)
    seconds: dict[str, list[float]] = {name: [] for name in _WAYS}
    results = {}
    with torch.inference_mode():
        for _ in range(args.rounds + 1):  # the first one warms up
            for name, way in _WAYS.items():
                taken, results[name] = _timed(partial(way, *tensors, args.radius), args)
                seconds[name].append(taken)
    medians = {name: statistics.median(times[1:]) for name, times in seconds.items()}
    names = ("nothing", *_WAYS)
    with ThreadPoolExecutor(len(names)) as pool:
        peaks = dict(zip(names, pool.map(partial(_peak_of, args=args), names), strict=True))
    first, second = results.values()
    span = (2 * args.radius + 1) ** 2
    pixels = args.side**2
    operations = 2 * pixels * span * (args.features + args.labels)
    least = 4 * pixels * (2 * args.features + 2 * args.labels)
    ways = {
        name: {
            "s": seconds,
            "mb": peaks[name] - peaks["nothing"],
            "gflops": operations / seconds / 1e9,
        }
        for name, seconds in medians.items()
    }
    return ways | {
        "difference": float((first - second).abs().max()),
        "gflop": operations / 1e9,
        "mb_at_least": least / 1e6,
        "gflops_of_a_product": _peak_rate(args) / 1e9,
    }


def _tensors(args: argparse.Namespace) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    size = args.side, args.side
    # in place, so that no copy hides what the ways need
    features = [
        torch.randn(1, args.features, *size, generator=generator).mul_(0.3) for _ in range(2)
    ]
    values = torch.rand(1, args.labels, *size, generator=generator)
    return [tensor.to(args.device) for tensor in (*features, values)]


def _timed(
    work: Callable[[], torch.Tensor], args: argparse.Namespace
) -> tuple[float, torch.Tensor]:
    """Seconds and result, with what a GPU has been given done before and after."""
    _synchronize(args)
    start = time.perf_counter()
    result = work()
    _synchronize(args)
    return time.perf_counter() - start, result


def _synchronize(args: argparse.Namespace) -> None:
    if args.device != "cpu":
        torch.cuda.synchronize()


def _peak_of(name: str, args: argparse.Namespace) -> float:
    """MB that a way, its inputs and PyTorch need."""
    sizes = {key: getattr(args, key) for key in ("side", "features", "labels", "radius", "device")}
    options = [text for key, value in sizes.items() for text in (f"--{key}", str(value))]
    command = [sys.executable, __file__, "--one", name, *options]
    answer = subprocess.run(command, check=True, capture_output=True)
    return float(json.loads(answer.stdout))


def _peak(args: argparse.Namespace, tensors: Sequence[torch.Tensor]) -> float:
    small = [tensor[:, :, :32, :32] for tensor in tensors]
    with torch.inference_mode():
        local_affinity(*small, args.radius)  # libraries are loaded
        if args.one != "nothing":
            _WAYS[args.one](*tensors, args.radius)
    if args.device != "cpu":
        return float(torch.cuda.max_memory_allocated() / 2**20)
    # unlike getrusage's, not that of the process that started this one
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    return int(re.search(r"VmHWM:\s+(\d+)", status)[1]) / 2**10


def _peak_rate(args: argparse.Namespace) -> float:
    """Operations per second of a large matrix product in single precision."""
    matrix = torch.randn(2048, 2048, device=args.device)
    times = [_timed(lambda: matrix @ matrix, args)[0] for _ in range(5)]
    return 2 * 2048**3 / min(times)


if __name__ == "__main__":
    sys.exit(main())
