"""Time of the commands, beside those of stock nnU-Net: whole processes, in turns, medians.

    python benchmarks/commands.py DATASET -o FOLDER

DATASET is the folder of a dense data set (``Dataset004_Hippocampus``). Byte code is compiled
before. The table is written to ``FOLDER/commands.md``; seconds are those of the clock, and in
brackets those of the processors in the command and all that it has started, which say more where
something else runs on the machine.
"""

import argparse
import compileall
import os
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import SimpleITK as sitk
from processor_time import processor_seconds

from nnunet_sparse.data.split import SPLIT_FILE
from nnunet_sparse.front.way_of_work import PREFIX, WAY_OF_WORK, is_ours

_STOCK_ID, _STOCK = 900, "Dataset900_Stock"
_NUM_SCORED = 60


@dataclass
class Measured:
    """Times of one command.

    Attributes
    ----------
    words
        The command; empty where nnU-Net has none like ours.
    before
        What is done before each run, without being measured.
    seconds, processor_seconds
        Of each run.
    """

    words: Sequence[str]
    before: Callable[[], object] = lambda: None
    seconds: list[float] = field(default_factory=list)
    processor_seconds: list[float] = field(default_factory=list)

    def run(self) -> None:
        """Run it once."""
        self.before()
        program = Path(sys.executable).with_name(self.words[0])
        used, start = processor_seconds(), time.perf_counter()
        done = subprocess.run(
            [str(program), *self.words[1:]], capture_output=True, encoding="utf-8", check=False
        )
        self.seconds.append(time.perf_counter() - start)
        self.processor_seconds.append(processor_seconds() - used)
        if done.returncode not in (0, 1):  # the doctor ends with 1 where something is broken
            sys.exit(f"{' '.join(self.words)}: {done.stderr[-2000:]}")

    def cell(self) -> str:
        """Medians, for the table."""
        if not self.seconds:
            return "-"
        both = statistics.median(self.seconds), statistics.median(self.processor_seconds)
        return "{:.1f} ({:.1f}) s".format(*both)


def main() -> None:
    """Measure, and write the table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("dataset", type=Path, help="folder of a dense data set")
    parser.add_argument("-o", "--output", type=Path, required=True, help="new folder")
    parser.add_argument("-n", "--runs", type=int, default=5, help="runs of each (default: 5)")
    args = parser.parse_args()
    args.output.mkdir(parents=True)
    folders = {name: args.output.resolve() / name for name in ("raw", "preprocessed", "results")}
    for name, folder in folders.items():
        folder.mkdir()
        os.environ[f"nnUNet_{name}"] = str(folder)
    base = folders["raw"] / args.dataset.name
    _link_tree(args.dataset.resolve(), base)
    compileall.compile_path(quiet=2)
    rows = {
        **_help_rows(),
        **_work_rows(folders, base, args.output.resolve()),
    }
    load = os.getloadavg()[0]
    for ours, stock in rows.values():
        for _ in range(args.runs):
            ours.run()
            if stock.words:
                stock.run()
    lines = ["| command | ours | stock nnU-Net |", "|---|---|---|"]
    lines += [
        f"| {name} | {ours.cell()} | {stock.cell()} |" for name, (ours, stock) in rows.items()
    ]
    lines += [
        "",
        f"{len(os.sched_getaffinity(0))} cores, Python {sys.version.split()[0]}; medians of "
        f"{args.runs} runs; load of the machine before: {load:.1f}.",
    ]
    (args.output / "commands.md").write_text("\n".join(lines) + "\n", encoding="utf-8")
    print("\n".join(lines))


def _help_rows() -> dict[str, tuple[Measured, Measured]]:
    stock = {
        "evaluate": "nnUNetv2_evaluate_simple",
        "plan_and_preprocess": "nnUNetv2_plan_and_preprocess",
    }
    ours = [command for _, commands in WAY_OF_WORK for command, _ in commands if is_ours(command)]
    rows = {"`nnsparse`": (Measured(["nnsparse"]), Measured([]))}
    for command in ours:
        other = [stock[command], "--help"] if command in stock else []
        rows[f"`{command} --help`"] = Measured([PREFIX + command, "--help"]), Measured(other)
    return rows


def _work_rows(
    folders: dict[str, Path], base: Path, output: Path
) -> dict[str, tuple[Measured, Measured]]:
    sparse = f"{PREFIX}make_dataset -d {base.name} --rho 0.2 --selector fixed --id 899".split()
    subprocess.run([str(Path(sys.executable).with_name(sparse[0])), *sparse[1:]], check=True)
    (made,) = folders["raw"].glob("Dataset899_*")
    # nnU-Net plans by ID alone, and its results must not meet ours
    _link_tree(made, folders["raw"] / _STOCK)
    truth, predicted = _scored_cases(base, output)
    declared = str(base / "dataset.json")

    def forget(*names: str) -> Callable[[], None]:
        def remove() -> None:
            for name in names:
                for path in (folders["preprocessed"] / name).glob("*"):
                    if path.is_dir():
                        shutil.rmtree(path)
                    elif path.name != SPLIT_FILE:
                        path.unlink()

        return remove

    def forget_made() -> None:
        for folder in folders["raw"].glob("Dataset898_*"):
            shutil.rmtree(folder)

    again = [*sparse[:-1], "898", "--seed", "1"]
    scored = [str(truth), str(predicted), "-np", "2"]
    doctor = [f"{PREFIX}doctor", "-d", "899", "--no_picture", "-np", "2"]
    return {
        f"`evaluate`, {_NUM_SCORED} cases": (
            Measured([f"{PREFIX}evaluate", *scored, "--dataset_json", declared, "--overwrite"]),
            Measured(["nnUNetv2_evaluate_simple", *scored, "-l", "1", "2"]),
        ),
        "`make_dataset --selector fixed`": (Measured(again, forget_made), Measured([])),
        "`doctor` before preprocessing": (Measured(doctor, forget(made.name)), Measured([])),
        "`plan_and_preprocess`, 2d and 3d": (
            Measured(
                [f"{PREFIX}plan_and_preprocess", "-d", "899", "-np", "2"],
                forget(made.name, base.name),
            ),
            Measured(
                f"nnUNetv2_plan_and_preprocess -d {_STOCK_ID} -c 2d 3d_fullres -np 2".split(),
                forget(_STOCK),
            ),
        ),
        "`doctor` after preprocessing": (Measured(doctor), Measured([])),
    }


def _link_tree(source: Path, target: Path) -> None:
    shutil.copytree(source, target, copy_function=os.symlink)


def _scored_cases(base: Path, output: Path) -> tuple[Path, Path]:
    """Labels, and predictions that are the labels moved by one voxel."""
    truth, predicted = output / "truth", output / "predicted"
    truth.mkdir()
    predicted.mkdir()
    for file in sorted((base / "labelsTr").iterdir())[:_NUM_SCORED]:
        (truth / file.name).symlink_to(file.resolve())
        label = sitk.ReadImage(str(file))
        moved = sitk.GetImageFromArray(np.roll(sitk.GetArrayFromImage(label), 1, axis=1))
        moved.CopyInformation(label)
        sitk.WriteImage(moved, str(predicted / file.name))
    return truth, predicted


if __name__ == "__main__":
    main()
