"""Many trainings, each in a process of its own, which can be stopped and continued."""

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path
from typing import Any, TypeVar

from bench_data import open_paths
from train_and_score import Experiment, train_and_score

from nnunet_sparse.system.atomic import write_json, write_text
from nnunet_sparse.system.command import positive_int
from nnunet_sparse.system.paths import NnUNetPaths

_Cell = TypeVar("_Cell")
_THREADS = {"OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "PASSIVE", "nnUNet_n_proc_DA": "0"}


def result_file(output: Path, key: str) -> Path:
    """File of a result: the content of the training, and its scores."""
    return output / "runs" / f"{key}.json"


def scores_of(output: Path, key: str, experiment: Experiment) -> dict[str, Any] | None:
    """Scores of a training, unless it has not been done or was done with other settings."""
    file = result_file(output, key)
    if not file.exists():
        return None
    content = json.loads(file.read_text(encoding="utf-8"))
    same = Experiment(**content["experiment"]) == Experiment(
        **json.loads(json.dumps(asdict(experiment)))
    )
    return dict(content["scores"]) if same else None


def add_run_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of :func:`run_and_tabulate`."""
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--jobs", type=positive_int, default=1, help="trainings at a time")
    parser.add_argument("--table", action="store_true", help="train nothing, show the table")
    parser.add_argument("--one", help=argparse.SUPPRESS)


def run_and_tabulate(
    script: str,
    args: argparse.Namespace,
    cells_of: Callable[[argparse.Namespace, NnUNetPaths], Iterable[_Cell]],
    table_of: Callable[[Sequence[_Cell], Path], str],
    name: str,
) -> None:
    """Do what is asked for: all trainings and their table, the table only, or one training.

    Parameters
    ----------
    script
        Script that calls this function, which :func:`train_all` runs for each training.
    args
        With ``output`` and the options of :func:`add_run_options`.
    cells_of
        Makes the data sets and lists the trainings, each a dataclass with ``key`` and
        ``experiment``; those of one key are one training.
    table_of
        Makes the table of the trainings whose results stand in a folder.
    name
        File of the table in that folder.
    """
    paths = open_paths(args.output)
    if args.one:
        train_one(paths, args.output, args.one, args.device)
        return
    cells = list(cells_of(args, paths))
    if not args.table:
        train_missing(script, cells, paths, args.output, args.device, args.jobs)
    table = table_of(cells, args.output)
    write_text(args.output / name, table)
    print(table, end="")


def train_one(paths: NnUNetPaths, output: Path, text: str, device: str) -> None:
    """Do one training of :func:`train_all`; ``text`` is what its process was given."""
    cell = json.loads(text)
    scores = train_and_score(paths, Experiment(**cell["experiment"]), device)
    write_json(result_file(output, cell["key"]), cell | {"scores": scores})


def train_missing(
    script: str, cells: Iterable[Any], paths: NnUNetPaths, output: Path, device: str, jobs: int
) -> None:
    """Run :func:`train_all` for the cells that have no result; those of one key are one training.

    A cell is a dataclass with ``key`` and ``experiment``.
    """
    todo = {c.key: asdict(c) for c in cells if scores_of(output, c.key, c.experiment) is None}
    train_all(script, todo, paths, output, device, jobs)


def train_all(
    script: str,
    cells: Mapping[str, Mapping[str, Any]],
    paths: NnUNetPaths,
    output: Path,
    device: str,
    jobs: int,
) -> None:
    """Run ``script -o OUTPUT --device DEVICE --one CONTENT`` for every cell.

    Parameters
    ----------
    script
        Script that hands ``--one`` to :func:`train_one`.
    cells
        JSON content of each training by its key; ``experiment`` is the training itself.
    paths
        nnU-Net's folders.
    output
        Folder of results and logs.
    device
        ``cpu`` or ``cuda``.
    jobs
        Number of trainings at a time.
    """
    (output / "runs").mkdir(exist_ok=True)
    threads = _THREADS | ({} if device == "cpu" else {"nnUNet_n_proc_DA": "4"})

    def train(key: str) -> None:
        command = [sys.executable, script, "-o", str(output), "--device", device]
        content = json.dumps({**cells[key], "key": key})
        log = output / "logs" / f"{key}.txt"
        with log.open("w", encoding="utf-8") as file:
            done = subprocess.run(
                [*command, "--one", content],
                env=os.environ | paths.environment() | threads,
                stdout=file,
                stderr=file,
                check=False,
            )
        print(f"{key}: {'done' if done.returncode == 0 else f'failed, see {log}'}", flush=True)

    with ThreadPoolExecutor(jobs) as pool:
        list(pool.map(train, cells))
