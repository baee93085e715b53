"""Commands ``nnsparse_convert_lits17``, ``nnsparse_convert_dbc`` and ``nnsparse_convert_atlas``."""

import argparse
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from nnunet_sparse.data.dataset_options import add_dataset_id_option
from nnunet_sparse.dataset_tools.convert.published_tasks import PUBLISHED_TASKS, PublishedTask
from nnunet_sparse.system.command import CommandParser, positive_int, run_command
from nnunet_sparse.system.errors import SparseError
from nnunet_sparse.system.options import (
    add_dry_run_option,
    add_num_processes_option,
    add_overwrite_option,
    add_seed_option,
)
from nnunet_sparse.system.paths import configured_or_default_paths

_LEAST_MM, _MOST_MM = 1e-3, 1e3

if TYPE_CHECKING:
    from nnunet_sparse.dataset_tools.convert.convert import Converted, Voxels
    from nnunet_sparse.dataset_tools.convert.source_cases import FoundCases


def main_lits17(argv: Sequence[str] | None = None) -> int:
    """Command ``nnsparse_convert_lits17``."""
    parser = _parser(
        "lits17", "LiTS17 (liver and tumour in CT)", "LiTS17", PUBLISHED_TASKS["lits17"]
    )
    parser.add_argument(
        "--spacings",
        type=Path,
        metavar="CSV",
        help="true voxel sizes of volumes whose header has lost them, as those from 3D-IRCADb have "
        "(lits_028 to lits_047): columns case, z, y, x in mm",
    )
    return run_command(parser, _run_lits17, argv)


def main_atlas(argv: Sequence[str] | None = None) -> int:
    """Command ``nnsparse_convert_atlas``."""
    parser = _parser(
        "atlas", "ATLAS R2.0 (stroke lesions in T1)", "ATLAS_2", PUBLISHED_TASKS["atlas"]
    )
    return run_command(parser, _run_atlas, argv)


def main_dbc(argv: Sequence[str] | None = None) -> int:
    """Command ``nnsparse_convert_dbc``."""
    parser = _parser(
        "dbc",
        "Duke-Breast-Cancer-MRI with its 3D masks (breast and fibroglandular tissue)",
        "manifest/Duke-Breast-Cancer-MRI --masks Segmentation_Masks_NRRD",
        PUBLISHED_TASKS["dbc_breast"],
    )
    parser.add_argument(
        "--task",
        choices=("breast", "fgt", "both"),
        default="both",
        help="which data sets to make (default: %(default)s)",
    )
    parser.add_argument(
        "--masks", type=Path, metavar="FOLDER", help="folder with the masks (default: IN)"
    )
    parser.add_argument(
        "--mapping",
        type=Path,
        metavar="CSV",
        help="TCIA's file path mapping table, saved as CSV: which series is the one before "
        "contrast (default: the one whose description says so)",
    )
    return run_command(parser, _run_dbc, argv)


def _parser(command: str, what: str, example: str, task: PublishedTask) -> CommandParser:
    prog = f"nnsparse_convert_{command}"
    parser = CommandParser(
        prog,
        f"Convert {what}, as published, to nnU-Net raw data with the spacing, size and split sizes "
        "of the paper. See docs/converters.md.",
        f"{prog} {example}",
    )
    parser.add_argument("folder", type=Path, metavar="IN", help="folder of the published data set")
    parser.add_argument("-o", "--name", help="name after the ID (default: the task's)")
    add_dataset_id_option(parser)
    parser.add_argument(
        "--spacing",
        type=float,
        nargs=3,
        metavar=("Z", "Y", "X"),
        help=f"voxel size in mm (default: {_text(task.spacing_mm)})",
    )
    parser.add_argument(
        "--size",
        type=positive_int,
        nargs=3,
        metavar=("Z", "Y", "X"),
        help=f"voxels; more where the foreground is larger (default: {_text(task.size)})",
    )
    parser.add_argument(
        "--native", action="store_true", help="keep the voxels: no resampling, no cropping"
    )
    add_seed_option(parser, "the split")
    parser.add_argument(
        "--exclude", nargs="+", default=[], metavar="CASE", help="cases to leave out"
    )
    parser.add_argument(
        "--skip_incomplete",
        action="store_true",
        help="leave out cases that lack image or label, instead of stopping",
    )
    add_overwrite_option(parser, "replace a converted data set of the same name")
    add_dry_run_option(parser, "check the files and say what would be made")
    add_num_processes_option(parser)
    return parser


def _text(values: Sequence[float]) -> str:
    return " ".join(f"{value:g}" for value in values)


def _run_lits17(args: argparse.Namespace) -> None:
    from nnunet_sparse.dataset_tools.convert.lits17 import find_lits17
    from nnunet_sparse.dataset_tools.convert.spacing_table import read_spacings

    def find() -> "FoundCases":
        spacings = None if args.spacings is None else read_spacings(args.spacings)
        return find_lits17(_folder(args.folder), args.skip_incomplete, args.exclude, spacings)

    _convert_or_show(args, ["lits17"], find)


def _run_atlas(args: argparse.Namespace) -> None:
    from nnunet_sparse.dataset_tools.convert.atlas import find_atlas

    def find() -> "FoundCases":
        return find_atlas(_folder(args.folder), args.skip_incomplete, args.exclude)

    _convert_or_show(args, ["atlas"], find)


def _run_dbc(args: argparse.Namespace) -> None:
    from nnunet_sparse.dataset_tools.convert.dbc import find_dbc

    if args.task == "both" and (args.name is not None or args.dataset_id is not None):
        raise SparseError("--name and --id are for one data set; choose it with --task")

    def find() -> "FoundCases":
        masks = None if args.masks is None else _folder(args.masks)
        folder = _folder(args.folder)
        return find_dbc(folder, args.skip_incomplete, masks, args.mapping, args.exclude)

    keys = ["breast", "fgt"] if args.task == "both" else [args.task]
    _convert_or_show(args, [f"dbc_{key}" for key in keys], find)


def _folder(path: Path) -> Path:
    if not path.is_dir():
        raise SparseError(f"{path} is not a folder")
    return path


def _voxels(args: argparse.Namespace, task: PublishedTask) -> "Voxels | None":
    from nnunet_sparse.dataset_tools.convert.convert import Voxels
    from nnunet_sparse.dataset_tools.convert.target_grid import check_size

    if args.native and (args.spacing or args.size):
        raise SparseError("--native keeps the voxels; leave out --spacing and --size")
    if args.native:
        return None
    z, y, x = args.spacing or task.spacing_mm
    if not all(math.isfinite(mm) and mm > 0 for mm in (z, y, x)):
        raise SparseError(f"spacing must be above 0 mm, got {z:g} x {y:g} x {x:g}")
    if not all(_LEAST_MM <= mm <= _MOST_MM for mm in (z, y, x)):
        raise SparseError(
            f"spacing must lie between {_LEAST_MM:g} and {_MOST_MM:g} mm, got {z:g} x {y:g} x {x:g}"
        )
    depth, height, width = args.size or task.size
    check_size((depth, height, width))
    return Voxels((z, y, x), (depth, height, width))


def _convert_or_show(
    args: argparse.Namespace, keys: Sequence[str], find: "Callable[[], FoundCases]"
) -> None:
    from nnunet_sparse.dataset_tools.convert.convert import convert

    wanted = {key: _voxels(args, PUBLISHED_TASKS[key]) for key in keys}
    found = find()
    if args.dry_run:
        _show(args, keys, found)
        return
    paths = configured_or_default_paths()
    for key, voxels in wanted.items():
        made = convert(
            paths,
            key,
            args.folder,
            found,
            voxels,
            dataset_id=args.dataset_id,
            name=args.name,
            seed=args.seed,
            num_processes=args.num_processes,
            overwrite=args.overwrite,
        )
        _print_result(made, found)


def _show(args: argparse.Namespace, keys: Sequence[str], found: "FoundCases") -> None:
    """Say what would be made, after checking the files."""
    from nnunet_sparse.dataset_tools.convert.convert import check_sources, split_of

    for key in keys:
        split = split_of(PUBLISHED_TASKS[key], found, args.seed)
        check_sources(key, found, args.num_processes)
        print(f"would make: DatasetXXX_{args.name or PUBLISHED_TASKS[key].name}")
        print(f"cases:      {len(split.train)} train, {len(split.val)} val, {len(split.test)} test")
    for case in found.cases.values():
        print(f"  {case.case_id}: {case.image}")
    _print_left_out(found)


def _print_result(made: "Converted", found: "FoundCases") -> None:
    from nnunet_sparse.dataset_tools.convert.conversion_record import TABLE_FILE

    split, records = made.split, made.cases.values()
    print(f"{'made' if made.created else 'exists'}: {made.folder}")
    print(f"  cases: {len(split.train)} train, {len(split.val)} val, {len(split.test)} test")
    for count, text in (
        (sum(any(r["shift_voxels"]) for r in records), "moved to contain the foreground"),
        (sum(any(r["enlarged_voxels"]) for r in records), "larger, to contain the foreground"),
        (sum(r["restored_objects"] > 0 for r in records), "with small objects restored"),
        (sum(r["label_placement"] == "by voxels" for r in records), "with a label by voxels only"),
        (sum(r["label_placement"] == "resampled" for r in records), "with a label on other voxels"),
        (
            sum("overwritten" in r.get("spacing_from", "") for r in records),
            "at a wrong scale: the header has lost the voxel size (--spacings)",
        ),
    ):
        if count:
            print(f"  {count} {text}")
    print(f"  details: {made.folder / TABLE_FILE}")
    _print_left_out(found)


def _print_left_out(found: "FoundCases") -> None:
    for name, why in found.left_out.items():
        print(f"  left out: {name}: {why}")
