"""The command ``nnsparse_worklist``."""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from nnunet_sparse.campaign.campaign_options import (
    DEFAULT_CHANNEL,
    add_annotation_options,
    add_campaign_argument,
    add_second_reader_option,
)
from nnunet_sparse.data.dataset_options import add_axis_option, add_dataset_option
from nnunet_sparse.features.mae_options import add_mae_options
from nnunet_sparse.prediction.model_options import add_model_options, open_model
from nnunet_sparse.selection.selection_options import (
    add_budget_options,
    add_selector_options,
    add_volume_fraction_option,
    variant_of,
)
from nnunet_sparse.selectors import first_selector_names, selector_class, selector_names
from nnunet_sparse.system.command import CommandParser, run_command, run_subcommand, titled
from nnunet_sparse.system.devices import check_device
from nnunet_sparse.system.errors import SparseError
from nnunet_sparse.system.options import (
    add_dry_run_option,
    add_num_processes_option,
    add_seed_option,
)
from nnunet_sparse.system.wording import command_line

if TYPE_CHECKING:
    from nnunet_sparse.campaign.campaign import Campaign

_DEFAULT_SELECTOR = "stratified"


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit status."""
    parser = CommandParser(
        "nnsparse_worklist",
        "Choose which slices of volumes without labels are to be annotated, and prepare a folder "
        "in which people annotate them.",
        "nnsparse_worklist make scans -o campaign --labels liver tumour --budget 400",
    )
    _add_make(parser)
    _add_status(parser)
    _add_extend(parser)
    _add_cost(parser)
    return run_command(parser, run_subcommand, argv)


def _add_make(parser: CommandParser) -> None:
    make = parser.add_subcommand(
        "make",
        _make,
        "Choose slices of volumes without labels, and make the folder in which they are annotated.",
        "nnsparse_worklist make scans -o campaign --labels liver tumour --rho 0.1",
        "choose slices, and make the campaign's folder",
    )
    make.add_argument(
        "images",
        nargs="*",
        type=Path,
        metavar="IMAGES",
        help="folders (searched with all below them), files (NIfTI, NRRD, MetaImage, GIPL), "
        "folders of DICOM series, lists of them (.txt, .csv), or the folder of an nnU-Net data set",
    )
    add_dataset_option(make, "instead: a data set in nnUNet_raw", required=False)
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
    make.add_argument("--exclude", nargs="+", default=[], metavar="CASE", help="cases to leave out")
    _add_choice(make)
    add_axis_option(make)
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
    add_dry_run_option(make, "tell what would be asked for")
    add_num_processes_option(make)


def _add_status(parser: CommandParser) -> None:
    status = parser.add_subcommand(
        "status",
        _status,
        "Show for each volume what is annotated, and bring the column status of worklist.csv up to "
        "date.",
        "nnsparse_worklist status campaign",
        "how far the annotation has come",
    )
    add_campaign_argument(status)
    add_annotation_options(status)
    add_num_processes_option(status)


def _add_extend(parser: CommandParser) -> None:
    extend = parser.add_subcommand(
        "extend",
        _extend,
        "Ask for more slices of the same volumes. What is asked for or annotated already counts "
        "for the selector, and is not asked for again.",
        "nnsparse_worklist extend campaign --budget 100",
        "ask for more slices",
    )
    add_campaign_argument(extend)
    _add_choice(extend, unset="as in the first round")
    network = extend.add_argument_group("network", "that was trained on what is annotated already")
    add_model_options(network, "network that selectors ask")
    network.add_argument(
        "--prefill_prediction",
        action="store_true",
        help="what the network predicts stands in the prefilled labels, to be corrected; slices "
        "on which nobody has changed it count once the column confirmed of worklist.csv says yes",
    )
    add_dry_run_option(extend, "tell what would be asked for")
    add_num_processes_option(extend)


def _add_cost(parser: CommandParser) -> None:
    cost = parser.add_subcommand(
        "cost",
        _cost,
        "Fit the cost of annotation to the times that were measured on the campaign's slices, for "
        "nnsparse_report --cost and nnsparse_advise.",
        "nnsparse_worklist cost campaign -o cost.yaml",
        "fit the cost of annotation to measured times",
    )
    add_campaign_argument(cost)
    cost.add_argument(
        "-o", dest="output", type=Path, required=True, metavar="FILE", help="the file (YAML)"
    )


def _add_choice(parser: argparse.ArgumentParser, unset: str | None = None) -> None:
    """How many slices are asked for, and how they are chosen; ``unset`` where nothing is said."""
    add_budget_options(parser, more=unset is not None)
    add_volume_fraction_option(parser, unset=unset)
    every = selector_names() if unset is not None else first_selector_names()
    names = [name for name in every if not _in_simulations_only(name)]
    add_selector_options(parser, _DEFAULT_SELECTOR, names, unset)
    add_seed_option(parser, "volumes and slices", unset=unset)
    add_second_reader_option(parser, unset)
    add_mae_options(parser)


def _in_simulations_only(name: str) -> bool:
    try:
        return selector_class(name).looks_at_labels()
    except SparseError:
        return True


def _make(args: argparse.Namespace) -> None:
    from nnunet_sparse.campaign.make_campaign import (
        CampaignRequest,
        make_campaign,
        preview_campaign,
    )
    from nnunet_sparse.campaign.sources import find_sources

    dataset, volumes = find_sources(
        args.images, args.dataset, args.labels, args.channels, args.exclude
    )
    request = CampaignRequest(
        volumes,
        dataset,
        variant_of(args),
        args.axis,
        args.weights,
        args.copy,
        args.device,
        args.second_reader,
    )
    if args.dry_run:
        campaign = preview_campaign(request, args.num_processes)
        print(_asked(campaign))
        print(_slices_of_last_round(campaign))
        print("nothing was written")
        return
    campaign, created = make_campaign(args.output, request, args.num_processes)
    print(_asked(campaign))
    print(titled("made" if created else "exists", args.output))
    guide = command_line("open", args.output / "README.html")
    window = command_line("nnsparse_annotate", args.output)
    status = command_line("nnsparse_worklist", "status", args.output)
    print(titled("next", f"{window} (or {guide}); {status}"))


def _status(args: argparse.Namespace) -> None:
    from nnunet_sparse.campaign.agreement_table import agreement_table
    from nnunet_sparse.campaign.open_campaign import campaign_lock, open_campaign
    from nnunet_sparse.campaign.progress import find_progress
    from nnunet_sparse.campaign.progress_table import progress_table
    from nnunet_sparse.campaign.reader_agreement import compare_readings
    from nnunet_sparse.campaign.slice_times import read_times
    from nnunet_sparse.campaign.times_table import times_table
    from nnunet_sparse.campaign.worklist import write_worklist

    with campaign_lock(args.campaign):
        campaign = open_campaign(args.campaign, args.num_processes)
        answers, progress = find_progress(
            campaign, args.annotations, args.confirm_empty, args.num_processes
        )
        write_worklist(campaign, answers, progress.states)
        times = times_table(read_times(campaign))
    print(progress_table(answers, progress))
    try:
        readings = compare_readings(campaign, answers, progress, args.num_processes)
        if readings is not None:
            print(f"\n{agreement_table(readings)}")
    except SparseError as error:
        print(f"\nproblem:  {error}")
    if times is not None:
        print(f"\n{times}")


def _cost(args: argparse.Namespace) -> None:
    from nnunet_sparse.campaign.campaign import Campaign
    from nnunet_sparse.campaign.cost_fit import fit_cost
    from nnunet_sparse.campaign.slice_times import TIMES_FILE, read_times
    from nnunet_sparse.system.atomic import write_text

    campaign = Campaign.read(args.campaign)
    fitted = fit_cost(read_times(campaign), str(campaign.folder / TIMES_FILE))
    write_text(args.output, fitted.to_yaml())
    print(fitted.to_yaml(), end="")
    print(titled("written", args.output))


def _extend(args: argparse.Namespace) -> None:
    from nnunet_sparse.campaign.ask_more import ask_more

    check_device(args.device)
    campaign = ask_more(args, open_model(args))
    print(_asked(campaign))
    if args.dry_run:
        print(_slices_of_last_round(campaign))
        print("dry run: nothing was asked for")
    else:
        print(titled("next", command_line("nnsparse_worklist", "status", args.campaign)))


def _asked(campaign: "Campaign") -> str:
    """Lines that say what the last round asks for."""
    asking = campaign.rounds[-1]
    count = sum(len(slices) for slices in asking.slices.values())
    total = sum(volume.num_slices for volume in campaign.volumes.values())
    before = sum(len(s) for r in campaign.rounds[:-1] for s in r.slices.values())
    lines = [
        titled(
            "volumes",
            f"{len(campaign.volumes)}, {total} {campaign.plane} slices along axis {campaign.axis}",
        ),
        titled(
            "asked for",
            f"{count} slices in {len(asking.slices)} volumes, chosen by {asking.variant.selector}",
        ),
    ]
    if second := sum(len(slices) for slices in asking.second_slices.values()):
        where = f"in {len(asking.second_slices)} volumes, by another annotator"
        lines.append(titled("read twice", f"{second} of these slices {where}"))
    if before:
        lines.append(titled("before", f"{before} slices"))
    return "\n".join(lines)


def _slices_of_last_round(campaign: "Campaign") -> str:
    return "\n".join(
        f"  {case_id}: {len(slices)} of {campaign.volumes[case_id].num_slices}: "
        + " ".join(map(str, slices))
        for case_id, slices in campaign.rounds[-1].slices.items()
    )
