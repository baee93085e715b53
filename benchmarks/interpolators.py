r"""How do interpolators that are trained in other ways compare, and with what needs no network?

    python benchmarks/interpolators.py -o FOLDER --data DATA/Dataset004_Hippocampus \
        DATA/Dataset011_BrainMALF DATA/Dataset015_MSLesion

On a GPU, the long training against the short one, and longer ones:

    python benchmarks/interpolators.py -o FOLDER --data DATA/Dataset011_BrainMALF --preset full
    python benchmarks/interpolators.py -o FOLDER --data DATA/Dataset011_BrainMALF --rows default \
        --steps 6400

Every row trains an interpolator on the training volumes of a data set and measures the batched IoU
of the slices that were not annotated, mean over the labels, where fixed slices are. A call that
was killed goes on.
"""

import argparse
import csv
import sys
from collections.abc import Sequence
from pathlib import Path

from bench_data import BenchData, base_name, is_small, open_paths

from nnunet_sparse.data.raw_dataset import RawDataset
from nnunet_sparse.system.atomic import write_text
from nnunet_sparse.system.command import CommandParser, positive_int, run_command
from nnunet_sparse.system.pipeline import Command, Runner, words

NETWORK = "correspondence"
ONE_WAY = "correspondence_oneway"
PUBLISHED = "published"
"""A row, and its method."""

ROWS: dict[str, str] = {
    "default": "",
    PUBLISHED: "",
    "without our three additions": "span=0 spread=0 sharpness=0",
    "plain dot products": "sharpness=0",
    "no expectation of shifts": "spread=0",
    "slices of the whole volume": "span=0",
    # 1 at Hounsfield scale, and at a scale of 0 to 1, is about so many times the mean difference
    "edge profile at Hounsfield scale": "temperature=0.02",
    "edge profile at scale 0 to 1": "temperature=20",
    "no scheduled sampling": "reconstructed=0",
    "K = 4": "num_slices=4",
    "K = 16": "num_slices=16",
    "radius 3": "radius=3",
    "radius 9": "radius=9",
}
BASELINES = ("shape", "nearest")


def main(argv: Sequence[str] | None = None) -> int:
    """Parse the arguments and run everything."""
    parser = CommandParser(
        "interpolators.py", "Quality of interpolators.", "interpolators.py -o FOLDER --data DATA"
    )
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--data", nargs="+", required=True, help="raw data sets")
    parser.add_argument("--rho", type=float, nargs="+", default=[0.05, 0.1, 0.4])
    parser.add_argument("--rows", nargs="+", choices=tuple(ROWS), default=list(ROWS))
    parser.add_argument("--preset", default="tiny")
    parser.add_argument("--steps", type=positive_int, help="of every row (default: the preset's)")
    parser.add_argument(
        "--change", nargs="+", default=[], metavar="KEY=VALUE", help="values of every row's preset"
    )
    parser.add_argument("--test", default="0.2", help="test cases, which are left out")
    parser.add_argument("-np", "--num_processes", type=positive_int, default=2)
    return run_command(parser, _run, argv)


def _run(args: argparse.Namespace) -> None:
    paths = open_paths(args.output)
    runner = Runner(args.output / "logs", paths, args.num_processes)
    source = BenchData(paths, runner, "0.2", "SmallPlanner", ())
    lines = ["| data | interpolator | " + " | ".join(f"rho {rho:g}" for rho in args.rho) + " |"]
    lines.append("|" + "---|" * (2 + len(args.rho)))
    for data in args.data:
        name = source.base(data)
        few = is_small(RawDataset.open(paths.raw / name))
        split = "--val 1 --test 0" if few else f"--test {args.test}"
        jobs: dict[str, tuple[str, ...]] = {"shape, nearest": BASELINES}
        jobs |= {row: _methods(row) for row in args.rows}
        for row, methods in jobs.items():
            output = args.output / name / row.replace(" ", "_")
            options = _options(row, args) if methods != BASELINES else ""
            command = (
                f"nnsparse_interpolation_quality -d {{}} {split} {options} "
                f"--methods {' '.join(methods)} -np {{np}} "
                f"--rho {' '.join(f'{rho:g}' for rho in args.rho)} -o {{}}"
            )
            runner.run(Command(f"{base_name(data)} {row}", words(command, name, output)))
            lines += _lines(base_name(data), row, output / "quality.csv", args.rho)
    table = "\n".join(lines) + "\n"
    write_text(args.output / "interpolators.md", table)
    print(table, end="")


def _methods(row: str) -> tuple[str, ...]:
    return (PUBLISHED,) if row == PUBLISHED else (NETWORK, ONE_WAY)


def _options(row: str, args: argparse.Namespace) -> str:
    """Options of a row's interpolator; that of the published method has a preset of its own."""
    steps = [f"num_steps={args.steps}"] if args.steps else []
    changes = [*ROWS[row].split(), *steps, *args.change]
    preset = "" if row == PUBLISHED else f"--preset {args.preset}"
    return f"{preset} --change {' '.join(changes)}" if changes else preset


def _lines(data: str, row: str, file: Path, densities: Sequence[float]) -> list[str]:
    """Rows of the table, one for each method, from the file of a report."""
    with file.open(encoding="utf-8", newline="") as stream:
        found = list(csv.DictReader(stream))
    only = len({entry["label"] for entry in found}) == 1
    means = [entry for entry in found if only or entry["label"] == "mean"]
    lines = []
    for method in dict.fromkeys(entry["method"] for entry in means):
        of_method = (e for e in means if e["method"] == method)
        values = {float(e["rho"]): e["propagated"] or "nan" for e in of_method}
        way = ", one way" if "oneway" in method else ""
        title = method if method in BASELINES else row + way
        lines.append(
            f"| {data} | {title} | "
            + " | ".join(f"{float(values[rho]):.3f}" for rho in densities)
            + " |"
        )
    return lines


if __name__ == "__main__":
    sys.exit(main())
