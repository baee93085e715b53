"""Many trainings, each in a process of its own, which can be stopped and continued."""

import json
import os
import subprocess
import sys
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path
from typing import Any

from train_and_score import Experiment, train_and_score

from nnunet_sparse.system.atomic import write_json
from nnunet_sparse.system.paths import NnUNetPaths

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
