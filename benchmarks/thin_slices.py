r"""Every second or fourth slice of a data set, as a data set of its own: the same anatomy.

    python benchmarks/thin_slices.py DATA/Dataset010_LeftAtrium -o RAW --every 2 --id 110

writes ``RAW/Dataset110_LeftAtriumEvery2`` with images and labels of which every n-th axial slice is
left, from the one in the middle of the first n on. Voxels are as thick as the distance that they
have then. Case IDs stay, so that the same seed splits them alike.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from nnunet_sparse.data.dataset_name import parse_dataset_name
from nnunet_sparse.data.geometry import read_geometry, resolve_axis
from nnunet_sparse.data.raw_dataset import RawDataset
from nnunet_sparse.system.atomic import write_json
from nnunet_sparse.system.command import CommandParser, positive_int, run_command
from nnunet_sparse.system.errors import SparseError
from nnunet_sparse.system.options import add_num_processes_option
from nnunet_sparse.system.parallel import map_cases

_FOLDERS = ("imagesTr", "labelsTr", "imagesTs", "labelsTs")


def main(argv: Sequence[str] | None = None) -> int:
    """Parse the arguments and write the data set."""
    parser = CommandParser(
        "thin_slices.py", "Leave every n-th slice of a data set.", "thin_slices.py DATA -o RAW"
    )
    parser.add_argument("data", type=Path, help="folder DatasetXXX_Name in nnU-Net's raw format")
    parser.add_argument("-o", "--output", type=Path, required=True, help="nnUNet_raw")
    parser.add_argument("--every", type=positive_int, default=2, metavar="N")
    parser.add_argument("--id", type=positive_int, required=True, dest="dataset_id")
    add_num_processes_option(parser)
    return run_command(parser, _run, argv)


def _run(args: argparse.Namespace) -> None:
    print(thin(args.data, args.output, args.every, args.dataset_id, args.num_processes))


def thin(data: Path, output: Path, every: int, dataset_id: int, num_processes: int = 1) -> str:
    """Write the data set; its name.

    Raises
    ------
    SparseError
        If it is there, or the data set has no images.
    """
    raw = RawDataset.open(data)
    _, suffix = parse_dataset_name(data.resolve().name)
    name = f"Dataset{dataset_id:03d}_{suffix}Every{every}"
    if (output / name).exists():
        raise SparseError(f"{output / name} exists")
    geometries = {
        c: read_geometry(case.images[0], raw.reader()) for c, case in raw.training.items()
    }
    axis = resolve_axis("auto", geometries)
    files = [file for folder in _FOLDERS for file in sorted((data / folder).glob("*"))]
    for folder in {file.parent.name for file in files}:
        (output / name / folder).mkdir(parents=True)
    work = partial(_thin_file, axis=axis, every=every)
    jobs = {
        f"{file.parent.name}/{file.name}": (file, output / name / file.parent.name / file.name)
        for file in files
    }
    map_cases(work, jobs, num_processes, "Thinning")
    content = json.loads((data / "dataset.json").read_text(encoding="utf-8"))
    write_json(
        output / name / "dataset.json", content | {"name": f"{suffix}, one slice of {every}"}
    )
    return name


def _thin_file(paths: tuple[Path, Path], axis: int, every: int) -> None:
    source, target = paths
    image = sitk.ReadImage(str(source))
    along = 2 - axis  # arrays are z, y, x, images x, y, z
    starts = np.zeros(3, int)
    starts[along] = every // 2
    steps = np.ones(3, int)
    steps[along] = every
    slices = tuple(slice(int(a), None, int(n)) for a, n in zip(starts, steps, strict=True))
    thinned = image[slices]
    sitk.WriteImage(thinned, str(target))


if __name__ == "__main__":
    sys.exit(main())
