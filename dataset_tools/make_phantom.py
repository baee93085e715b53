"""Write a phantom as a raw data set of nnU-Net, and the command ``nnsparse_make_phantom``."""

import argparse
import itertools
import logging
import math
import shutil
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from nnunet_sparse.data.dataset_name import check_suffix, find_named
from nnunet_sparse.data.dataset_options import add_dataset_id_option
from nnunet_sparse.data.nifti import write_nifti
from nnunet_sparse.dataset_tools.earlier_partials import has_phantom_marker, is_called
from nnunet_sparse.dataset_tools.new_dataset import (
    DatasetRequest,
    check_free,
    dataset_lock,
    new_dataset,
    recover_datasets,
    remove_unfinished,
)
from nnunet_sparse.phantoms import PHANTOM_TASKS, PhantomCase, make_case
from nnunet_sparse.phantoms.phantom_case import DEFAULT_SHAPE, DEFAULT_SPACING_MM, check_parameters
from nnunet_sparse.system.atomic import atomic_path, write_json
from nnunet_sparse.system.command import (
    CommandParser,
    non_negative_int,
    positive_int,
    run_command,
)
from nnunet_sparse.system.errors import SparseError
from nnunet_sparse.system.json_files import read_json
from nnunet_sparse.system.options import (
    add_num_processes_option,
    add_overwrite_option,
    add_seed_option,
)
from nnunet_sparse.system.parallel import map_cases
from nnunet_sparse.system.paths import NnUNetPaths, configured_or_default_paths

if TYPE_CHECKING:
    import SimpleITK as sitk

logger = logging.getLogger(__name__)

PARAMETERS_KEY = "nnsparse_phantom"
FILE_ENDING = ".nii.gz"
MAX_OBLIQUE_DEG = 40.0
# test cases are numbered from here, so that they do not depend on the number of training cases
FIRST_TEST_CASE = 100_000
_VERSION = 1
_AXES = ("LR", "PA", "SI")


def make_phantom(
    paths: NnUNetPaths,
    task: str = "lesion",
    *,
    dataset_id: int | None = None,
    name: str | None = None,
    num_train: int = 24,
    num_test: int = 8,
    shape: tuple[int, int, int] = DEFAULT_SHAPE,
    spacing_mm: tuple[float, float, float] = DEFAULT_SPACING_MM,
    orientation: str = "LPS",
    oblique_deg: float = 0.0,
    variation: float = 0.0,
    drawn_slices: int | None = None,
    seed: int = 0,
    num_processes: int = 1,
    overwrite: bool = False,
) -> str:
    """Make a phantom data set, unless the same one exists.

    Parameters
    ----------
    paths
        nnU-Net's folders; missing ones are created.
    task
        ``lesion``, ``organ``, ``tree`` or ``subtle``.
    dataset_id
        ID of the data set; by default the first free one.
    name
        Name after the ID; by default ``PhantomLesion`` and so on.
    num_train, num_test
        Number of cases with and without use for training; the latter may be 0. Case k is the same
        however many there are.
    shape
        Voxels (z, y, x) of the axial stack, before ``orientation`` permutes them.
    spacing_mm
        Voxel size (z, y, x), likewise.
    orientation
        Where the image's axes (x, y, z of its file) lead, one of L R, P A and S I each: ``LPS``
        has identity direction cosines. Any other one stores the same anatomy with permuted and
        flipped axes.
    oblique_deg
        Tilt of the stack about the left-right axis, in degrees.
    variation, drawn_slices
        As of :func:`nnunet_sparse.phantoms.make_case`.
    seed
        Seed of the data set.
    num_processes
        Number of parallel processes; it does not change the result.
    overwrite
        Replace a phantom of the same name.

    Returns
    -------
    str
        Full name, as in ``Dataset500_PhantomLesion``.

    Raises
    ------
    SparseError
        If a parameter is out of range, the ID taken, or the name taken by something else.
    """
    check_parameters(task, seed, shape, spacing_mm, variation, drawn_slices)
    if num_train < 1 or num_test < 0:
        raise SparseError(
            "a data set needs at least 1 training case and no fewer than 0 test cases, "
            f"got {num_train} and {num_test}"
        )
    orientation = _checked_orientation(orientation)
    if not abs(oblique_deg) <= MAX_OBLIQUE_DEG:
        raise SparseError(
            f"oblique angle must lie within {MAX_OBLIQUE_DEG:g} degrees of 0, got {oblique_deg:g} "
            "(beyond that the stack is no longer axial)"
        )
    name = f"Phantom{task.capitalize()}" if name is None else name
    check_suffix(name)
    parameters = {
        "version": _VERSION,
        "task": task,
        "num_train": num_train,
        "num_test": num_test,
        "shape": list(shape),
        "spacing_mm": [float(s) for s in spacing_mm],
        "orientation": orientation,
        "oblique_deg": float(oblique_deg),
        "seed": seed,
    }
    # what was added later only where it is asked for, so that data sets from before are the same
    parameters |= {"variation": float(variation)} if variation else {}
    parameters |= {"drawn_slices": drawn_slices} if drawn_slices else {}
    request = DatasetRequest(name, parameters)
    recover_datasets(paths.raw, name)
    if dataset_id is not None and find_named(paths.raw, name, dataset_id) is None:
        check_free(paths, request, dataset_id, partial(_is_earlier, name=name))
    paths.make_folders()
    # two first calls at once must not make the same phantom twice
    with dataset_lock(paths.raw, name):
        return _make_or_find(paths, request, dataset_id, num_processes, overwrite)


def _make_or_find(
    paths: NnUNetPaths,
    request: DatasetRequest,
    dataset_id: int | None,
    num_processes: int,
    overwrite: bool,
) -> str:
    name = request.name
    existing = find_named(paths.raw, name, dataset_id)
    belongs = partial(_is_earlier, name=name)
    if existing is not None and not overwrite:
        if _read_parameters(paths.raw / existing) == request.parameters:
            remove_unfinished(paths, request, belongs)
            logger.info("%s exists with the same parameters, nothing to do", existing)
            return existing
        raise SparseError(
            f"{paths.raw / existing} exists with other content; give another name, "
            "or --overwrite to replace a phantom"
        )
    if existing is not None and _read_parameters(paths.raw / existing) is None:
        raise SparseError(f"{paths.raw / existing} is not a phantom, it will not be overwritten")
    with new_dataset(
        paths,
        request,
        dataset_id=dataset_id,
        replaced=existing,
        belongs=belongs,
    ) as (folder, full_name):
        _write_cases(folder, request.parameters, num_processes)
        write_json(folder / "dataset.json", _dataset_json(name, request.parameters))
    return full_name


def _is_earlier(folder: Path, name: str) -> bool:
    """Whether an earlier version was building a phantom of that name in a folder."""
    return has_phantom_marker(folder, name) or is_called(folder, name, PARAMETERS_KEY)


def _checked_orientation(text: str) -> str:
    letters = text.upper()
    used = [[pair for pair in _AXES if letter in pair] for letter in letters]
    if len(letters) != 3 or sorted(itertools.chain(*used)) != sorted(_AXES):
        raise SparseError(
            f"orientation must be three letters, one of L R, one of P A and one of S I "
            f"(as LPS or RSA), got {text!r}"
        )
    return letters


def _read_parameters(folder: Path) -> dict[str, Any] | None:
    """Parameters that made a phantom data set; None for any other folder."""
    content = read_json(folder / "dataset.json")
    parameters = content.get(PARAMETERS_KEY) if isinstance(content, dict) else None
    return parameters if isinstance(parameters, dict) else None


def _dataset_json(name: str, parameters: Mapping[str, Any]) -> dict[str, Any]:
    task = PHANTOM_TASKS[parameters["task"]]
    return {
        "name": name,
        "description": f"Procedural phantom made by nnunet_sparse: {task.description}.",
        "licence": "CC0-1.0 (computer-generated, shows no person)",
        "channel_names": {"0": task.channel_name},
        "labels": task.labels,
        "numTraining": parameters["num_train"],
        "file_ending": FILE_ENDING,
        "overwrite_image_reader_writer": "SimpleITKIO",
        **task.roles,
        PARAMETERS_KEY: dict(parameters),
    }


def _write_cases(folder: Path, parameters: Mapping[str, Any], num_processes: int) -> None:
    staging = folder / ".staging"
    staging.mkdir(exist_ok=True)
    jobs = {}
    for split, prefix, count, first in (
        ("Tr", "", parameters["num_train"], 0),
        ("Ts", "test_", parameters["num_test"], FIRST_TEST_CASE),
    ):
        if count:
            (folder / f"images{split}").mkdir(exist_ok=True)
            (folder / f"labels{split}").mkdir(exist_ok=True)
        for k in range(count):
            jobs[f"{parameters['task']}_{prefix}{k:04d}"] = (split, first + k)
    work = partial(_write_case, folder, parameters)
    map_cases(
        work,
        {case_id: (case_id, *job) for case_id, job in jobs.items()},
        num_processes,
        f"phantom {parameters['task']}",
    )
    shutil.rmtree(staging)


def _write_case(folder: Path, parameters: Mapping[str, Any], job: tuple[str, str, int]) -> None:
    case_id, split, number = job
    image_file = folder / f"images{split}" / f"{case_id}_0000{FILE_ENDING}"
    label_file = folder / f"labels{split}" / f"{case_id}{FILE_ENDING}"
    if label_file.exists():  # the last of the two: by a call that was killed later
        return
    z, y, x = parameters["shape"]
    spacing_z, spacing_y, spacing_x = parameters["spacing_mm"]
    case = make_case(
        parameters["task"],
        parameters["seed"],
        number,
        (z, y, x),
        (spacing_z, spacing_y, spacing_x),
        variation=parameters.get("variation", 0.0),
        drawn_slices=parameters.get("drawn_slices"),
    )
    image, label = to_images(case, parameters["orientation"], parameters["oblique_deg"])
    for volume, file in ((image, image_file), (label, label_file)):
        with atomic_path(file, folder / ".staging") as temporary:
            write_nifti(volume, temporary)


def to_images(case: PhantomCase, orientation: str, oblique_deg: float) -> list["sitk.Image"]:
    """Image and label of a case, placed in the patient's coordinates.

    The centre of the volume is the origin of the coordinates, and the stack rises along the
    patient's superior-inferior axis (tilted by ``oblique_deg`` about the left-right axis)
    whatever the order of the stored axes.
    """
    import SimpleITK as sitk

    angle = math.radians(oblique_deg)
    cos, sin = math.cos(angle), math.sin(angle)
    direction = np.array([[1, 0, 0], [0, cos, -sin], [0, sin, cos]])
    spacing = np.array(case.spacing_mm[::-1])
    centre = (np.array(case.image.shape[::-1]) - 1) / 2 * spacing
    images = []
    for array in (case.image, case.label):
        image = sitk.GetImageFromArray(array)
        image.SetSpacing(spacing.tolist())
        image.SetDirection(direction.ravel().tolist())
        image.SetOrigin((-direction @ centre).tolist())
        images.append(sitk.DICOMOrient(image, orientation))
    return images


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit status."""
    parser = CommandParser(
        "nnsparse_make_phantom",
        "Make a procedural data set, as nnU-Net raw data, to try things out without data.",
        "nnsparse_make_phantom lesion --num_train 24 --num_test 8",
    )
    parser.add_argument(
        "task",
        nargs="?",
        default="lesion",
        help=f"what it shows: {', '.join(PHANTOM_TASKS)} (default: %(default)s)",
    )
    add_dataset_id_option(parser)
    parser.add_argument("--name", help="name after the ID (default: PhantomLesion and so on)")
    parser.add_argument("--num_train", type=positive_int, default=24, metavar="N")
    parser.add_argument("--num_test", type=non_negative_int, default=8, metavar="N")
    parser.add_argument(
        "--shape", type=int, nargs=3, default=DEFAULT_SHAPE, metavar=("Z", "Y", "X")
    )
    parser.add_argument(
        "--spacing",
        type=float,
        nargs=3,
        default=DEFAULT_SPACING_MM,
        metavar=("Z", "Y", "X"),
        help="voxel size in mm (default: %(default)s)",
    )
    parser.add_argument(
        "--orientation",
        default="LPS",
        help="where the stored axes x, y, z lead (default: %(default)s, identity)",
    )
    parser.add_argument(
        "--oblique", type=float, default=0.0, metavar="DEG", help="tilt of the axial stack"
    )
    parser.add_argument(
        "--variation",
        type=float,
        default=0.0,
        metavar="STRENGTH",
        help="how much volumes differ in field of view, position, shape and contrast: 0 as little "
        "as they do anyway, 1 as patients and scanners do (default: %(default)g)",
    )
    parser.add_argument(
        "--drawn_slices",
        type=positive_int,
        metavar="N",
        help="draw the anatomy in N slices and join them to those of --shape (default: as many)",
    )
    add_seed_option(parser, "the data set")
    add_overwrite_option(parser, "replace a phantom of the same name")
    add_num_processes_option(parser)
    return run_command(parser, _run, argv)


def _run(args: argparse.Namespace) -> None:
    paths = configured_or_default_paths()
    name = make_phantom(
        paths,
        args.task,
        dataset_id=args.dataset_id,
        name=args.name,
        num_train=args.num_train,
        num_test=args.num_test,
        shape=tuple(args.shape),
        spacing_mm=tuple(args.spacing),
        orientation=args.orientation,
        oblique_deg=args.oblique,
        variation=args.variation,
        drawn_slices=args.drawn_slices,
        seed=args.seed,
        num_processes=args.num_processes,
        overwrite=args.overwrite,
    )
    print(f"{name}\n{paths.raw / name}")
