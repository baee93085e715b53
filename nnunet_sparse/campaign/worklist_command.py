"""The command ``nnsparse_worklist``."""

import argparse
import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from nnunet_sparse.campaign.campaign import CAMPAIGN_FILE, Campaign
from nnunet_sparse.campaign.images import check_images
from nnunet_sparse.campaign.make_campaign import (
    CampaignRequest,
    extend_campaign,
    make_campaign,
    preview_campaign,
    write_work,
)
from nnunet_sparse.campaign.prefill import check_extendable, prefill
from nnunet_sparse.campaign.progress import (
    Progress,
    confirmed_of,
    parse_confirmed,
    read_progress,
)
from nnunet_sparse.campaign.progress_table import status_table
from nnunet_sparse.campaign.sources import DEFAULT_CHANNEL, find_sources
from nnunet_sparse.campaign.worklist import Answers, read_worklist, write_worklist
from nnunet_sparse.dataset_tools.make_dataset_command import (
    add_mae_arguments,
    add_selector_arguments,
    mae_request,
)
from nnunet_sparse.features.mae_presets import DEFAULT_MAE_PRESET
from nnunet_sparse.features.mae_request import MaeRequest
from nnunet_sparse.selection.variant import Variant
from nnunet_sparse.selectors import parse_parameters, selector_class, selector_names
from nnunet_sparse.system.command import (
    CommandParser,
    add_num_processes,
    non_negative_int,
    positive_int,
    run_command,
)
from nnunet_sparse.system.devices import check_device
from nnunet_sparse.system.errors import SparseError
from nnunet_sparse.system.locks import locked

logger = logging.getLogger(__name__)

_DEFAULT_SELECTOR = "stratified"


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit status."""
    parser = CommandParser(
        "nnsparse_worklist",
        "Choose which slices of volumes without labels are to be annotated, and prepare a folder "
        "in which people annotate them.",
        "nnsparse_worklist make scans -o campaign --labels liver tumour --budget 400",
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    _add_make(commands)
    _add_status(commands)
    _add_extend(commands)
    return run_command(parser, _run, argv)


def _add_make(commands: Any) -> None:
    make = commands.add_parser(
        "make",
        prog="nnsparse_worklist make",
        help="choose slices, and make the campaign's folder",
        description="Choose slices of volumes without labels, and make the folder in which they "
        "are annotated.",
        example="nnsparse_worklist make scans -o campaign --labels liver tumour --rho 0.1",
    )
    make.add_argument(
        "images",
        nargs="*",
        type=Path,
        metavar="IMAGES",
        help="folders (searched with all below them), files (NIfTI, NRRD, MetaImage, GIPL), "
        "folders of DICOM series, lists of them (.txt, .csv), or the folder of an nnU-Net data set",
    )
    make.add_argument(
        "-d", dest="dataset", metavar="ID|NAME", help="instead: a data set in nnUNet_raw"
    )
    make.add_argument(
        "-o", dest="output", type=Path, required=True, metavar="FOLDER", help="the new campaign"
    )
    make.add_argument(
        "--labels", nargs="+", metavar="NAME", help="what is to be annotated: labels 1, 2, ..."
    )
    make.add_argument(
        "--channels",
        nargs="+",
        metavar="NAME",
        help="names of the image channels, by which nnU-Net normalises: CT for CT, any other name "
        f"for other images (default: {DEFAULT_CHANNEL})",
    )
    _add_choice(make, "")
    make.add_argument(
        "--axis",
        default="auto",
        metavar="AXIS",
        help="slice axis: auto (closest to superior-inferior), axial, coronal, sagittal, or array "
        "axis 0, 1, 2 (default: %(default)s)",
    )
    make.add_argument(
        "--weights",
        type=Path,
        metavar="CSV",
        help="table with the columns case and weight: how much of the budget volumes get relative "
        "to the others (1 where nothing is said, 0 for none)",
    )
    make.add_argument(
        "--copy", action="store_true", help="copy images, so that the folder can be moved"
    )
    make.add_argument("--dry_run", action="store_true", help="tell what would be asked for")
    add_num_processes(make)


def _add_status(commands: Any) -> None:
    status = commands.add_parser(
        "status",
        prog="nnsparse_worklist status",
        help="how far the annotation has come",
        description="Show for each volume what is annotated, and bring the column status of "
        "worklist.csv up to date.",
        example="nnsparse_worklist status campaign",
    )
    status.add_argument("campaign", type=Path, help="folder of the campaign")
    status.add_argument(
        "--annotations",
        type=Path,
        metavar="FOLDER",
        help="where the annotations are (default: the campaign's labels)",
    )
    add_confirm_empty(status)
    add_num_processes(status)


def _add_extend(commands: Any) -> None:
    extend = commands.add_parser(
        "extend",
        prog="nnsparse_worklist extend",
        help="ask for more slices",
        description="Ask for more slices of the same volumes. What is asked for or annotated "
        "already counts for the selector, and is not asked for again.",
        example="nnsparse_worklist extend campaign --budget 100",
    )
    extend.add_argument("campaign", type=Path, help="folder of the campaign")
    _add_choice(extend, " more")
    extend.add_argument("--dry_run", action="store_true", help="tell what would be asked for")
    add_num_processes(extend)


def _add_choice(parser: argparse.ArgumentParser, more: str) -> None:
    """How many slices are asked for, and how they are chosen."""
    how_many = parser.add_mutually_exclusive_group(required=True)
    how_many.add_argument(
        "--budget", type=positive_int, metavar="N", help=f"number of{more} slices in all"
    )
    how_many.add_argument(
        "--slices_per_volume",
        type=positive_int,
        metavar="K",
        help=f"number of{more} slices of each volume",
    )
    how_many.add_argument(
        "--rho", type=float, help=f"density: share of each volume's slices{more and ' to add'}"
    )
    default = None if more else 1.0
    parser.add_argument(
        "--s",
        type=float,
        default=default,
        help="volume fraction: share of the volumes that get slices, in (0, 1] "
        f"({_default(more, '1.0')})",
    )
    names = [name for name in selector_names() if not _in_simulations_only(name)]
    add_selector_arguments(parser, None if more else _DEFAULT_SELECTOR, names)
    parser.add_argument(
        "--seed",
        type=non_negative_int,
        default=None if more else 0,
        help=f"seed of volumes and slices ({_default(more, '0')})",
    )
    add_mae_arguments(parser)


def _default(more: str, value: str) -> str:
    return "default: as in the first round" if more else f"default: {value}"


def _in_simulations_only(name: str) -> bool:
    try:
        return selector_class(name).looks_at_labels()
    except SparseError:
        return True


def add_confirm_empty(parser: argparse.ArgumentParser) -> None:
    """Add the option that confirms slices without objects."""
    parser.add_argument(
        "--confirm_empty",
        nargs="*",
        metavar="CASE[:SLICES]",
        help="slices that are as prefilled show no object: all of a case, some (CASE:3,7), or, "
        "where nothing is named, all of all cases; kept in worklist.csv",
    )


def find_progress(
    campaign: Campaign,
    folder: Path | None,
    texts: Sequence[str] | None,
    num_processes: int,
) -> tuple[Answers, Progress]:
    """What people have written into the worklist, and what the annotations hold.

    Parameters
    ----------
    campaign
        The campaign.
    folder
        Where the annotations are; None for the campaign's own.
    texts
        What a command line confirms to show no object; None for nothing.
    num_processes
        Number of processes.
    """
    answers = read_worklist(campaign)
    progress = read_progress(campaign, confirmed_of(campaign, answers), folder, num_processes)
    if texts is not None:
        confirmed = parse_confirmed(campaign, texts, progress)
        answers, progress = answers.with_confirmed(confirmed), progress.with_confirmed(confirmed)
    return answers, progress


@contextmanager
def campaign_lock(folder: Path) -> Iterator[None]:
    """Keep other commands from working in the folder of a campaign.

    Raises
    ------
    SparseError
        If it is no such folder.
    """
    if not (folder / CAMPAIGN_FILE).is_file():
        Campaign.read(folder)  # says what is wrong
    with locked(folder / ".nnsparse.lock", f"Another process is working in {folder}"):
        yield


def open_campaign(folder: Path, num_processes: int) -> Campaign:
    """Read a campaign, and finish what a killed call has left; to be done under its lock."""
    campaign = Campaign.read(folder)
    check_images(campaign)
    return campaign if campaign.is_complete else finish_round(campaign, num_processes)


def finish_round(campaign: Campaign, num_processes: int) -> Campaign:
    """Bring rounds that are not complete into labels, worklist and guide."""
    prefill(campaign, num_processes)
    answers, progress = find_progress(campaign, None, None, num_processes)
    write_work(campaign, answers, progress.states, num_processes)
    campaign = campaign.completed()
    campaign.write()
    return campaign


def _run(args: argparse.Namespace) -> None:
    {"make": _make, "status": _status, "extend": _extend}[args.command](args)


def _make(args: argparse.Namespace) -> None:
    dataset, volumes = find_sources(args.images, args.dataset, args.labels, args.channels)
    request = CampaignRequest(
        volumes,
        dataset,
        _variant(args, None),
        args.axis,
        args.weights,
        args.copy,
        args.device,
    )
    if args.dry_run:
        campaign = preview_campaign(request, args.num_processes)
        print(_asked(campaign))
        print(_slices_of_last_round(campaign))
        print("nothing was written")
        return
    campaign, created = make_campaign(args.output, request, args.num_processes)
    print(_asked(campaign))
    print(f"{'made:' if created else 'exists:':<11} {args.output}")
    print(
        f"{'next:':<11} open {args.output / 'README.html'}; nnsparse_worklist status {args.output}"
    )


def _status(args: argparse.Namespace) -> None:
    with campaign_lock(args.campaign):
        campaign = open_campaign(args.campaign, args.num_processes)
        answers, progress = find_progress(
            campaign, args.annotations, args.confirm_empty, args.num_processes
        )
        write_worklist(campaign, answers, progress.states)
    print(status_table(answers, progress))


def _extend(args: argparse.Namespace) -> None:
    check_device(args.device)
    with campaign_lock(args.campaign):
        before = Campaign.read(args.campaign)
        variant = _variant(args, before.rounds[0].variant)
        campaign = open_campaign(args.campaign, args.num_processes)
        if before.is_complete or campaign.rounds[-1].variant != variant:
            campaign = _extended(campaign, variant, args)
            if not args.dry_run:
                campaign.write()
                finish_round(campaign, args.num_processes)
    print(_asked(campaign))
    if args.dry_run:
        print(_slices_of_last_round(campaign))
        print("dry run: nothing was asked for")
    else:
        print(f"{'next:':<11} nnsparse_worklist status {args.campaign}")


def _extended(campaign: Campaign, variant: Variant, args: argparse.Namespace) -> Campaign:
    """The campaign with another round, which is to be finished."""
    check_extendable(campaign)
    _, progress = find_progress(campaign, None, None, args.num_processes)
    _refuse_unreadable(progress)
    return extend_campaign(campaign, variant, progress.states, args.device, args.num_processes)


def _refuse_unreadable(progress: Progress) -> None:
    """More slices can only be asked for where it is known what is annotated."""
    unreadable = [c.problem for c in progress.cases.values() if c.problem and not c.is_missing]
    unreadable += progress.unusable.values()
    if unreadable:
        raise SparseError(f"{unreadable[0]}; nothing is asked for until that is set right")


def _variant(args: argparse.Namespace, first: Variant | None) -> Variant:
    """How slices are chosen; what is not said is as in the first round."""

    def chosen(name: str) -> Any:
        given = getattr(args, name)
        return getattr(first, name) if given is None and first is not None else given

    selector, scope = chosen("selector"), chosen("scope")
    parameters: Mapping[str, Any] = parse_parameters(selector, args.parameters)
    if first is not None and selector == first.selector and not args.parameters:
        parameters = first.parameters
    mae = mae_request(args)
    if first is not None and (mae.preset, mae.seed) == (DEFAULT_MAE_PRESET, 0):
        mae = MaeRequest(first.mae, first.mae_seed)
    return Variant(
        rho=args.rho,
        s=chosen("s"),
        selector=selector,
        seed=chosen("seed"),
        scope=scope,
        slices_per_volume=args.slices_per_volume,
        budget=args.budget,
        min_per_volume=_least(args, scope, first),
        mae=mae.preset,
        mae_seed=mae.seed,
        parameters=parameters,
    )


def _least(args: argparse.Namespace, scope: str, first: Variant | None) -> int:
    """Least number of slices per volume, where that of the first round may hold as well."""
    if args.min_per_volume is not None:
        return int(args.min_per_volume)
    return first.min_per_volume if first is not None and scope == "dataset" else 0


def _asked(campaign: Campaign) -> str:
    """Lines that say what the last round asks for."""
    asking = campaign.rounds[-1]
    count = sum(len(slices) for slices in asking.slices.values())
    total = sum(volume.num_slices for volume in campaign.volumes.values())
    before = sum(len(s) for r in campaign.rounds[:-1] for s in r.slices.values())
    lines = [
        f"{'volumes:':<11} {len(campaign.volumes)}, {total} {campaign.plane} slices along axis "
        f"{campaign.axis}",
        f"{'asked for:':<11} {count} slices in {len(asking.slices)} volumes, chosen by "
        f"{asking.variant.selector}",
    ]
    if before:
        lines.append(f"{'before:':<11} {before} slices")
    return "\n".join(lines)


def _slices_of_last_round(campaign: Campaign) -> str:
    return "\n".join(
        f"  {case_id}: {len(slices)} of {campaign.volumes[case_id].num_slices}: "
        + " ".join(map(str, slices))
        for case_id, slices in campaign.rounds[-1].slices.items()
    )
