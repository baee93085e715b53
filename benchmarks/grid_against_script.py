r"""A grid of experiments against a script of nnU-Net's commands: same cells, same iterations.

    python benchmarks/grid_against_script.py -o FOLDER [--file GRID.yaml] [--cells N]

First ``nnsparse_grid run`` runs the whole experiment (the preset ``quick`` unless a file is given).
Then nnU-Net's own commands, one after the other as in a shell script, do for each of its data sets
``nnUNetv2_extract_fingerprint`` and ``nnUNetv2_preprocess`` (with the same plans), and for each of
its trainings ``nnUNetv2_train``, ``nnUNetv2_predict`` and ``nnUNetv2_evaluate_simple``. The data
sets themselves are those that the grid has made: nnU-Net has no command for that. With ``--cells``
the script does the first N trainings only, and its seconds are scaled to all. The table is written
to ``FOLDER/grid_against_script.md``; seconds are those of the clock.
"""

import argparse
import os
import shutil
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from nnunet_sparse.data.folds import SPLITS_FILE
from nnunet_sparse.data.raw_dataset import RawDataset
from nnunet_sparse.grid.cells import Training
from nnunet_sparse.grid.jobs import TrainJob, job_graph, jobs_of
from nnunet_sparse.grid.open_grid import Grid, open_grid
from nnunet_sparse.grid.step_work import dataset_name
from nnunet_sparse.system.paths import NnUNetPaths
from nnunet_sparse.system.pipeline import Command, Runner

_STEPS = ("fingerprint", "preprocess", "train", "predict", "evaluate")


def main() -> None:
    """Measure, and write the table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("-o", "--output", type=Path, required=True, help="new folder")
    parser.add_argument("--file", type=Path, help="experiment (default: the preset quick)")
    parser.add_argument("--cells", type=int, help="trainings of the script (default: all)")
    args = parser.parse_args()
    args.output.mkdir(parents=True)
    file = args.output.resolve() / "grid.yaml"
    if args.file is None:
        _run("nnsparse_grid", "init", "--preset", "quick", "-o", str(file))
    else:
        shutil.copyfile(args.file, file)
    start = time.perf_counter()
    _run("nnsparse_grid", "run", str(file))
    ours = time.perf_counter() - start
    grid = open_grid(file)
    trainings = [job.subject for job in jobs_of(job_graph(grid), TrainJob)]
    chosen = trainings[: args.cells]
    seconds, calls = _script(grid, chosen, args.output.resolve() / "script")
    share = len(trainings) / len(chosen)
    lines = ["| step of the script | calls | seconds |", "|---|---|---|"]
    lines += [f"| {step} | {calls[step]} | {seconds[step]:.0f} |" for step in _STEPS]
    total = share * sum(seconds.values())
    scaled = "" if share == 1 else f", scaled from {len(chosen)} trainings"
    lines += [
        "",
        f"{len(trainings)} trainings on {len(os.sched_getaffinity(0))} cores: script {total:.0f} s"
        f"{scaled}, grid {ours:.0f} s, {total / ours:.1f} times as fast.",
    ]
    (args.output / "grid_against_script.md").write_text("\n".join(lines) + "\n", encoding="utf-8")
    print("\n".join(lines))


def _script(
    grid: Grid, trainings: Sequence[Training], folder: Path
) -> tuple[dict[str, float], Counter[str]]:
    """Seconds and calls of each step."""
    theirs = replace(NnUNetPaths.below(folder), raw=grid.paths.raw)
    theirs.make_folders()
    runner = Runner(folder / "logs", theirs, 2)
    seconds = dict.fromkeys(_STEPS, 0.0)
    calls, preprocessed = Counter[str](), set()

    def step(name: str, *words: str) -> None:
        seconds[name] += runner.run(Command(name, list(words)))
        calls[name] += 1

    for training in trainings:
        name = dataset_name(grid, training.of.suffix)
        number = name[len("Dataset") : name.index("_")]
        configuration, plans = training.configuration.configuration, training.plans
        if (name, configuration, plans) not in preprocessed:
            preprocessed.add((name, configuration, plans))
            target = theirs.preprocessed / name
            step("fingerprint", "nnUNetv2_extract_fingerprint", "-d", number, "-np", "2")
            for file in (SPLITS_FILE, "dataset.json", f"{plans}.json"):
                shutil.copyfile(grid.paths.preprocessed / name / file, target / file)
            step(
                "preprocess",
                *("nnUNetv2_preprocess", "-d", number, "-plans_name", plans),
                *("-c", configuration, "-np", "2"),
            )
        trainer, fold = training.configuration.trainer, str(training.repeat)
        of = ("-tr", trainer, "-p", plans, "-device", "cpu")
        step("train", "nnUNetv2_train", number, configuration, fold, *of)
        predicted = folder / training.key
        images, labels = (theirs.raw / name / part for part in ("imagesTs", "labelsTs"))
        step(
            "predict",
            *("nnUNetv2_predict", "-i", str(images), "-o", str(predicted), "-d", number),
            *("-c", configuration, "-f", fold, *of),
        )
        declared = RawDataset.open(theirs.raw / name).dataset_json["labels"]
        names = [str(n) for label, n in declared.items() if label not in {"background", "ignore"}]
        step("evaluate", "nnUNetv2_evaluate_simple", str(labels), str(predicted), "-l", *names)
    return seconds, calls


def _run(*words: str) -> None:
    subprocess.run([str(Path(sys.executable).with_name(words[0])), *words[1:]], check=True)


if __name__ == "__main__":
    main()
