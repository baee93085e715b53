"""The command ``nnsparse_import``."""

import argparse
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from nnunet_sparse.campaign.campaign_options import add_annotation_options, add_campaign_argument
from nnunet_sparse.campaign.import_request import DEFAULT_VALIDATION, Extra, ImportRequest
from nnunet_sparse.data.dataset_options import (
    add_dataset_id_option,
    add_folds_options,
    add_group_option,
)
from nnunet_sparse.data.folds import folds_text, is_cross_validation
from nnunet_sparse.data.groups import grouping_text
from nnunet_sparse.dataset_tools.made_dataset import made_line, next_line
from nnunet_sparse.system.command import CommandParser, run_command, titled
from nnunet_sparse.system.errors import SparseError
from nnunet_sparse.system.options import (
    add_dry_run_option,
    add_num_processes_option,
    add_overwrite_option,
    add_seed_option,
)
from nnunet_sparse.system.paths import configured_paths

if TYPE_CHECKING:
    from nnunet_sparse.campaign.campaign import Campaign
    from nnunet_sparse.campaign.import_campaign import Imported

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
    add_campaign_argument(parser)
    add_annotation_options(parser)
    parser.add_argument(
        "--name", help="name of the data set after its ID (default: the campaign's)"
    )
    add_dataset_id_option(parser)
    parser.add_argument(
        "--val",
        type=float,
        metavar="N",
        help="annotated volumes to validate on: a number, or a share below 1 (default: "
        f"{DEFAULT_VALIDATION}); volumes of earlier imports stay what they were",
    )
    add_seed_option(parser, "that choice")
    add_group_option(parser)
    add_folds_options(parser)
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
    provenance = parser.add_argument_group("provenance", "kept in import.json")
    provenance.add_argument("--annotator", metavar="NAME", help="who annotated")
    provenance.add_argument("--tool", metavar="NAME", help="with which tool")
    provenance.add_argument("--date", metavar="DATE", help="when")
    add_dry_run_option(parser)
    add_overwrite_option(parser, "replace an imported data set of that name")
    add_num_processes_option(parser)
    return run_command(parser, _run, argv)


def _run(args: argparse.Namespace) -> None:
    from nnunet_sparse.campaign.import_campaign import import_campaign
    from nnunet_sparse.campaign.open_campaign import campaign_lock, open_campaign
    from nnunet_sparse.campaign.progress import find_progress
    from nnunet_sparse.campaign.second_reading import refuse_second_campaign
    from nnunet_sparse.campaign.worklist import write_worklist

    paths = configured_paths()
    with campaign_lock(args.campaign):
        campaign = open_campaign(args.campaign, args.num_processes)
        refuse_second_campaign(campaign, "nnsparse_import")
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


def _request(args: argparse.Namespace, campaign: "Campaign") -> ImportRequest:
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
        args.folds,
        args.group,
    )


def _report(imported: "Imported", unknown: Sequence[Path], wanted_val: float | None) -> str:
    cases = imported.cases.values()
    empty, extra = (sum(len(getattr(c, name)) for c in cases) for name in ("empty", "extra"))
    lines = [
        titled(
            "annotated",
            f"{sum(len(c.annotated) for c in cases)} slices in {len(cases)} volumes "
            f"({empty} confirmed empty, {extra} not asked for)",
        ),
        titled("split", _split_text(imported, wanted_val)),
        titled("groups", grouping_text(sorted(imported.cases), imported.groups)),
    ]
    lines += _left_out("left out", imported.left_out, "not annotated")
    cleared = {case_id: c.cleared for case_id, c in imported.cases.items() if c.cleared}
    lines += _left_out("left out", cleared, "not asked for, and background only")
    lines += [titled("unknown", f"{file} belongs to no case") for file in unknown]
    if imported.folder is None:
        return "\n".join([*lines, "nothing was written"])
    lines.append(titled("folds", folds_text(imported.folds)))
    lines += [made_line(imported.folder, imported.created), next_line(imported.folder)]
    return "\n".join(lines)


def _split_text(imported: "Imported", wanted_val: float | None) -> str:
    from nnunet_sparse.campaign.validation_share import SPLIT_FILE, num_validation

    if is_cross_validation(imported.folds):
        sizes = ", ".join(str(len(fold["val"])) for fold in imported.folds)
        return f"{len(imported.folds)} folds that validate {sizes} volumes"
    train, val = (len(imported.parts[part]) for part in ("train", "val"))
    share = DEFAULT_VALIDATION if wanted_val is None else wanted_val
    kept = ""
    if imported.groups is None and val != num_validation(share, len(imported.cases)):
        kept = f" (volumes keep the part of earlier imports, {SPLIT_FILE})"
    return f"{train} train, {val} val{kept}"


def _left_out(title: str, slices: Mapping[str, Sequence[int]], why: str) -> list[str]:
    if not slices:
        return []
    count = _counted(sum(map(len, slices.values())), "slice")
    lines = [titled(title, f"{count} of {_counted(len(slices), 'volume')}, {why}")]
    return lines + [
        f"  {case_id}: {' '.join(map(str, found))}" for case_id, found in slices.items()
    ]


def _counted(number: int, what: str) -> str:
    return f"{number} {what}" + ("" if number == 1 else "s")
