r"""Time and memory of the commands over the number of cases, and on one large volume.

    python benchmarks/scale.py -o FOLDER [--cases 100 1000 10000] [--large 1500 512 512]

Small cases are volumes of 12 x 16 x 16 voxels with one object; the large ones are a CT under three
names. Each command is a process with two workers. Seconds are those of the clock and, in brackets,
of the processors; memory is the largest sum over the command and its workers (what they share is
counted once), above which the file cache is not counted. The table is written to
``FOLDER/scale.md``.
"""

import argparse
import contextlib
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import nibabel
import numpy as np
import psutil
from processor_time import processor_seconds

from nnunet_sparse.campaign.campaign import Campaign
from nnunet_sparse.system.paths import NnUNetPaths

_SMALL = (12, 16, 16)
_POLL_S = 0.05
_BASE, _SPARSE, _IMPORTED = "Dataset700_Scale", 701, 702


@dataclass(frozen=True)
class Used:
    """What a command took.

    Attributes
    ----------
    seconds, processor_seconds
        Of the clock, and of the command and all that it started.
    memory_mib
        Largest memory of all its processes together.
    """

    seconds: float
    processor_seconds: float
    memory_mib: float

    def cell(self) -> str:
        """Cell of the table."""
        return f"{self.seconds:.1f} ({self.processor_seconds:.1f}) s, {self.memory_mib:.0f} MiB"


def main() -> None:
    """Measure, and write the table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("-o", "--output", type=Path, required=True, help="new folder")
    parser.add_argument("--cases", type=int, nargs="*", default=[100, 1000, 10000])
    parser.add_argument(
        "--large", type=int, nargs=3, metavar=("Z", "Y", "X"), default=[1500, 512, 512]
    )
    args = parser.parse_args()
    args.output.mkdir(parents=True)
    columns = {}
    for number in args.cases:
        columns[f"{number} small cases"] = _column(
            args.output.resolve() / f"small{number}", number, _SMALL
        )
    if args.large:
        name = "3 of {} x {} x {}".format(*args.large)
        columns[name] = _column(args.output.resolve() / "large", 3, tuple(args.large))
    rows = next(iter(columns.values()))
    lines = ["| command | " + " | ".join(columns) + " |", "|---" * (1 + len(columns)) + "|"]
    for row in rows:
        lines.append(f"| {row} | " + " | ".join(c[row].cell() for c in columns.values()) + " |")
    lines += ["", f"{len(os.sched_getaffinity(0))} cores, Python {sys.version.split()[0]}."]
    (args.output / "scale.md").write_text("\n".join(lines) + "\n", encoding="utf-8")
    print("\n".join(lines))


def _column(folder: Path, num_cases: int, shape: Sequence[int]) -> dict[str, Used]:
    paths = NnUNetPaths.below(folder / "nnunet")
    paths.make_folders()
    base = paths.raw / _BASE
    _write_cases(base, num_cases, shape)
    environment = {**os.environ, **paths.environment()}

    def measured(*words: str) -> Used:
        return _measure([str(word) for word in words], folder, environment)

    campaign = folder / "campaign"
    sparse = ["--rho", "0.2", "--test", "0", "--id", str(_SPARSE)]
    made = ["-o", str(campaign), "--labels", "object", "--channels", "CT", "--rho", "0.2"]
    rows: dict[str, Used] = {}
    rows["`make_dataset --selector fixed`"] = measured(
        "nnsparse_make_dataset", "-d", _BASE, *sparse, "-np", "2"
    )
    rows["`doctor`"] = measured("nnsparse_doctor", "-d", str(_SPARSE), "--no_picture", "-np", "2")
    rows["`worklist make`"] = measured(
        "nnsparse_worklist", "make", str(base / "imagesTr"), *made, "-np", "2"
    )
    _annotate(Campaign.read(campaign), base / "labelsTr")
    rows["`worklist status`"] = measured("nnsparse_worklist", "status", str(campaign), "-np", "2")
    rows["`import`"] = measured(
        "nnsparse_import", str(campaign), "--id", str(_IMPORTED), "--confirm_empty", "-np", "2"
    )
    shutil.copytree(base / "labelsTr", folder / "predicted", copy_function=os.link)
    rows["`evaluate`"] = measured(
        "nnsparse_evaluate",
        str(base / "labelsTr"),
        str(folder / "predicted"),
        *("-l", "1", "-np", "2"),
    )
    shutil.rmtree(folder)
    return rows


def _write_cases(base: Path, num_cases: int, shape: Sequence[int]) -> None:
    """Noise with a bright ball; large volumes are one file under several names."""
    for name in ("imagesTr", "labelsTr"):
        (base / name).mkdir(parents=True)
    rng = np.random.default_rng(0)
    first: tuple[Path, Path] | None = None
    for number in range(num_cases):
        files = (
            base / "imagesTr" / f"case_{number:05d}_0000.nii.gz",
            base / "labelsTr" / f"case_{number:05d}.nii.gz",
        )
        if first is None or shape == _SMALL:
            image, label = _ball(rng, shape)
            for voxels, file in zip((image, label), files, strict=True):
                nibabel.save(nibabel.Nifti1Image(voxels.T, np.diag([0.7, 0.7, 1.0, 1.0])), file)
            first = files
        else:
            for source, file in zip(first, files, strict=True):
                os.link(source, file)
    declared = {
        "channel_names": {"0": "CT"},
        "labels": {"background": 0, "object": 1},
        "numTraining": num_cases,
        "file_ending": ".nii.gz",
    }
    (base / "dataset.json").write_text(json.dumps(declared), encoding="utf-8")


def _ball(rng: np.random.Generator, shape: Sequence[int]) -> tuple[np.ndarray, np.ndarray]:
    """Image and label, slice by slice."""
    image, label = np.empty(shape, np.int16), np.zeros(shape, np.uint8)
    centre = rng.uniform(0.4, 0.6, 3)
    y, x = (np.arange(n) / n for n in shape[1:])
    in_plane = (y[:, None] - centre[1]) ** 2 + (x - centre[2]) ** 2
    for i in range(shape[0]):
        label[i] = in_plane + (i / shape[0] - centre[0]) ** 2 < 0.04
        image[i] = rng.normal(40, 15, shape[1:]) + 60 * label[i]
    return image, label


def _annotate(campaign: Campaign, truth: Path) -> None:
    """Put the truth on the slices that are asked for."""
    for case_id in campaign.asked_cases:
        file = campaign.label_file(case_id)
        stored = nibabel.load(file)
        voxels = np.asanyarray(stored.dataobj).copy()
        planes = np.moveaxis(voxels, 2 - campaign.axis, 0)
        wanted = np.asanyarray(nibabel.load(truth / f"{case_id}.nii.gz").dataobj)
        asked = list(campaign.asked(case_id))
        planes[asked] = np.moveaxis(wanted, 2 - campaign.axis, 0)[asked]
        nibabel.save(nibabel.Nifti1Image(voxels, None, stored.header), file)


def _memory_of(process: psutil.Process) -> int:
    """Bytes of a process and all that it started; what they share is divided among them."""
    total = 0
    with contextlib.suppress(psutil.Error):
        for part in (process, *process.children(recursive=True)):
            with contextlib.suppress(psutil.Error):
                total += part.memory_full_info().pss
    return total


def _measure(words: list[str], folder: Path, environment: dict[str, str]) -> Used:
    program = Path(sys.executable).with_name(words[0])
    log = folder / "log.txt"
    used, start = processor_seconds(), time.perf_counter()
    with (
        log.open("w", encoding="utf-8") as said,
        subprocess.Popen(
            [str(program), *words[1:]], stdout=said, stderr=said, env=environment, cwd=folder
        ) as process,
    ):
        watched, memory = psutil.Process(process.pid), 0
        while process.poll() is None:
            memory = max(memory, _memory_of(watched))
            time.sleep(_POLL_S)
    seconds = time.perf_counter() - start
    if process.returncode:
        sys.exit(f"{' '.join(words)}: {log.read_text('utf-8')[-2000:]}")
    print(f"{words[0]}: {seconds:.1f} s, {memory / 2**20:.0f} MiB", flush=True)
    return Used(seconds, processor_seconds() - used, memory / 2**20)


if __name__ == "__main__":
    main()
