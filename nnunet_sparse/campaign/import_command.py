"""The command ``nnsparse_import``."""

import argparse
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from nnunet_sparse.campaign.campaign import Campaign
from nnunet_sparse.campaign.import_campaign import (
    DEFAULT_VAL,
    Extra,
    Imported,
    ImportRequest,
    import_campaign,
)
from nnunet_sparse.campaign.validation_share import SPLIT_FILE, num_validation
from nnunet_sparse.campaign.worklist import write_worklist
from nnunet_sparse.campaign.worklist_command import (
    add_confirm_empty,
    campaign_lock,
    find_progress,
    open_campaign,
)
from nnunet_sparse.dataset_tools.make_dataset import DEFAULT_REPEATS
from nnunet_sparse.system.command import (
    CommandParser,
    add_num_processes,
    non_negative_int,
    positive_int,
    run_command,
)
from nnunet_sparse.system.errors import SparseError
from nnunet_sparse.system.paths import configured_paths

_UNSAFE = re.compile(r"[^A-Za-z0-9_-]+")
_PROVENANCE = ("annotator", "tool", "date")


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit status."""
    parser = CommandParser(
        "nnsparse_import",
        "Make a sparse nnU-Net data set from the annotations of a campaign: slices that are not "
        "annotated carry the ignore label.",
        "nnsparse_import campaign --val 0.2",
    )
    parser.add_argument("campaign", type=Path, help="folder of the campaign (nnsparse_worklist)")
    parser.add_argument(
        "--annotations",
        type=Path,
        metavar="FOLDER",
        help="where the annotations are: labels CASE.nii.gz (.nrrd, .mha), masks of single slices "
        "CASE_slice012.png, segmentations of 3D Slicer CASE.seg.nrrd, DICOM segmentations "
        "(default: the campaign's labels)",
    )
    parser.add_argument(
        "--name", help="name of the data set after its ID (default: the campaign's)"
    )
    parser.add_argument(
        "--id",
        type=positive_int,
        dest="dataset_id",
        help="ID of the data set (default: a free one)",
    )
    parser.add_argument(
        "--val",
        type=float,
        default=DEFAULT_VAL,
        metavar="N",
        help="annotated volumes to validate on: a number, or a share below 1 (default: "
        "%(default)s); volumes of earlier imports stay what they were",
    )
    parser.add_argument(
        "--seed", type=non_negative_int, default=0, help="seed of that choice (default: 0)"
    )
    parser.add_argument(
        "--repeats",
        type=positive_int,
        default=DEFAULT_REPEATS,
        help="number of equal folds, for repeated trainings (default: %(default)s)",
    )
    parser.add_argument(
        "--partial",
        action="store_true",
        help="go on without slices that were asked for and are not annotated",
    )
    extra = parser.add_mutually_exclusive_group()
    extra.add_argument(
        "--accept_extra",
        action="store_true",
        help="take annotation on slices that were not asked for; what is not painted on them is "
        "background",
    )
    extra.add_argument(
        "--drop_extra", action="store_true", help="leave out annotation that was not asked for"
    )
    add_confirm_empty(parser)
    provenance = parser.add_argument_group("provenance", "kept in import.json")
    provenance.add_argument("--annotator", metavar="NAME", help="who annotated")
    provenance.add_argument("--tool", metavar="NAME", help="with which tool")
    provenance.add_argument("--date", metavar="DATE", help="when")
    parser.add_argument("--dry_run", action="store_true", help="tell what would be made, and stop")
    parser.add_argument(
        "--overwrite", action="store_true", help="replace an imported data set of that name"
    )
    add_num_processes(parser)
    return run_command(parser, _run, argv)


def _run(args: argparse.Namespace) -> None:
    paths = configured_paths()
    with campaign_lock(args.campaign):
        campaign = open_campaign(args.campaign, args.num_processes)
        answers, progress = find_progress(
            campaign, args.annotations, args.confirm_empty, args.num_processes
        )
        imported = import_campaign(
            paths,
            campaign,
            progress,
            answers,
            _request(args, campaign),
            args.num_processes,
            args.dry_run,
        )
        if not args.dry_run:
            write_worklist(campaign, answers, progress.states)
    print(_report(imported, progress.unknown, args.val))


def _request(args: argparse.Namespace, campaign: Campaign) -> ImportRequest:
    name = args.name or _UNSAFE.sub("_", campaign.name).strip("_-")
    if not name:
        raise SparseError(f"{campaign.name!r} cannot be the name of a data set; give a --name")
    extra: Extra = "accept" if args.accept_extra else "drop" if args.drop_extra else "refuse"
    provenance = {k: getattr(args, k) for k in _PROVENANCE if getattr(args, k)}
    return ImportRequest(
        name,
        args.dataset_id,
        args.partial,
        extra,
        args.val,
        args.seed,
        args.repeats,
        provenance,
        args.overwrite,
    )


def _report(imported: Imported, unknown: Sequence[Path], wanted_val: float) -> str:
    cases = imported.cases.values()
    empty, extra = (sum(len(getattr(c, name)) for c in cases) for name in ("empty", "extra"))
    val = len(imported.parts["val"])
    lines = [
        f"{'annotated:':<11} {sum(len(c.annotated) for c in cases)} slices in {len(cases)} volumes "
        f"({empty} confirmed empty, {extra} not asked for)",
        f"{'split:':<11} {len(imported.parts['train'])} train, {val} val",
    ]
    if val != num_validation(wanted_val, len(cases)):
        lines[-1] += f" (volumes keep the part of earlier imports, {SPLIT_FILE})"
    lines += _left_out("left out", imported.left_out, "not annotated")
    cleared = {case_id: c.cleared for case_id, c in imported.cases.items() if c.cleared}
    lines += _left_out("left out", cleared, "not asked for, and background only")
    lines += [f"{'unknown:':<11} {file} belongs to no case" for file in unknown]
    if imported.folder is None:
        return "\n".join([*lines, "nothing was written"])
    made = "made:" if imported.created else "exists:"
    lines.append(f"{made:<11} {imported.folder}")
    lines.append(f"{'next:':<11} nnsparse_plan_and_preprocess -d {imported.folder.name}")
    return "\n".join(lines)


def _left_out(title: str, slices: Mapping[str, Sequence[int]], why: str) -> list[str]:
    if not slices:
        return []
    count = _counted(sum(map(len, slices.values())), "slice")
    lines = [f"{title + ':':<11} {count} of {_counted(len(slices), 'volume')}, {why}"]
    return lines + [
        f"  {case_id}: {' '.join(map(str, found))}" for case_id, found in slices.items()
    ]


def _counted(number: int, what: str) -> str:
    return f"{number} {what}" + ("" if number == 1 else "s")
