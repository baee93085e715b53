"""Asking for more slices of a campaign."""

import argparse
import logging
from collections.abc import Mapping
from dataclasses import replace

from nnunet_sparse.campaign.asked_round import Round
from nnunet_sparse.campaign.asked_slices import choose_round
from nnunet_sparse.campaign.campaign import Campaign
from nnunet_sparse.campaign.open_campaign import campaign_lock, open_campaign
from nnunet_sparse.campaign.prefill import check_extendable
from nnunet_sparse.campaign.progress import CampaignProgress, find_progress
from nnunet_sparse.campaign.round_work import finish_round
from nnunet_sparse.campaign.second_reading import (
    asked_twice,
    check_second_share,
    read_second,
    refuse_second_campaign,
)
from nnunet_sparse.campaign.slice_states import SliceStates
from nnunet_sparse.prediction.trained_network import TrainedNetwork
from nnunet_sparse.selection.ask_network import AskedNetwork, check_asked
from nnunet_sparse.selection.selection_options import variant_of
from nnunet_sparse.selection.variant import Variant
from nnunet_sparse.system.errors import SparseError

logger = logging.getLogger(__name__)


def ask_more(args: argparse.Namespace, network: TrainedNetwork | None) -> Campaign:
    """Do what ``nnsparse_worklist extend`` is asked for.

    Parameters
    ----------
    args
        Its options.
    network
        The network of ``--model``.

    Returns
    -------
    Campaign
        With the new round; in a dry run nothing is written.

    Raises
    ------
    SparseError
        If nothing more can be asked for in this way.
    """
    with campaign_lock(args.campaign):
        before = Campaign.read(args.campaign)
        refuse_second_campaign(before, "nnsparse_worklist extend")
        share = before.rounds[0].second_share if args.second_reader is None else args.second_reader
        check_second_share(share)
        variant = variant_of(args, before.rounds[0].variant)
        asked = _asked_network(before, variant, network, args)
        campaign = open_campaign(args.campaign, args.num_processes)
        if before.is_complete or not _is_same(campaign.rounds[-1], variant, share, asked, args):
            campaign = _extended(campaign, variant, share, asked, args)
            if not args.dry_run:
                campaign.write()
                finish_round(campaign, args.num_processes)
    return campaign


def extend_campaign(
    campaign: Campaign,
    variant: Variant,
    states: Mapping[str, SliceStates],
    device: str | None = None,
    num_processes: int = 1,
    *,
    asked: AskedNetwork | None = None,
    is_prefilled: bool = False,
    second_reader: float = 0.0,
    dry_run: bool = False,
) -> Campaign:
    """Ask for more slices; ``campaign.json`` is not written.

    Parameters
    ----------
    campaign
        The campaign.
    variant
        How many slices are added, and how they are chosen.
    states
        What the labels hold, by case ID.
    device
        Where networks of selectors run; None for a GPU if there is one.
    num_processes
        Processes that read images.
    asked
        Trained network, if the selector asks one or its predictions are prefilled.
    is_prefilled
        Whether what it predicts is to stand in the prefilled labels.
    second_reader
        Share of these slices that another annotator is asked for as well; 0 for none.
    dry_run
        Keep nothing but what the network says of the volumes.

    Returns
    -------
    Campaign
        With one more round, which has to be prefilled; what the network predicts on its slices is
        kept in the campaign.

    Raises
    ------
    SparseError
        If the budget exceeds what is left.
    """
    extra = {case_id: frozenset(found.extra) for case_id, found in states.items()}
    asking, seen = choose_round(campaign, variant, extra, device, num_processes, asked)
    asking = asked_twice(campaign, replace(asking, is_prefilled=is_prefilled), second_reader)
    extended = campaign.with_round(asking)
    if asked is not None and not dry_run:
        from nnunet_sparse.campaign.predict_round import predict_round

        predict_round(extended, asked, seen)
    return extended


def _asked_network(
    campaign: Campaign,
    variant: Variant,
    network: TrainedNetwork | None,
    args: argparse.Namespace,
) -> AskedNetwork | None:
    """The network that is asked, if there is one; what cannot go together is refused."""
    selector = variant.make_selector()
    if args.prefill_prediction and network is None:
        raise SparseError("--prefill_prediction needs a network: name it with --model FOLDER")
    if not args.prefill_prediction:
        check_asked(selector, network is not None)
    if network is None:
        return None
    asked = AskedNetwork(network, args.device)
    asked.check(selector, campaign.images)
    return asked


def _is_same(
    asking: Round,
    variant: Variant,
    share: float,
    asked: AskedNetwork | None,
    args: argparse.Namespace,
) -> bool:
    """Whether a round that a killed call has left is the one that is asked for."""
    digests = (
        None if asking.network is None else asking.network.get("digest"),
        None if asked is None else asked.provenance()["digest"],
    )
    return (asking.variant, asking.second_share, asking.is_prefilled, digests[0]) == (
        variant,
        share,
        args.prefill_prediction,
        digests[1],
    )


def _extended(
    campaign: Campaign,
    variant: Variant,
    share: float,
    asked: AskedNetwork | None,
    args: argparse.Namespace,
) -> Campaign:
    """The campaign with another round, which is to be finished."""
    progress = _readable_progress(campaign, args.num_processes)
    if share and (second := read_second(campaign)) is not None:
        _readable_progress(second, args.num_processes)
    return extend_campaign(
        campaign,
        variant,
        progress.states,
        args.device,
        args.num_processes,
        asked=asked,
        is_prefilled=args.prefill_prediction,
        second_reader=share,
        dry_run=args.dry_run,
    )


def _readable_progress(campaign: Campaign, num_processes: int) -> CampaignProgress:
    """More slices can only be asked for where it is known what is annotated."""
    check_extendable(campaign)
    _, progress = find_progress(campaign, None, None, num_processes)
    if progress.unreadable:
        raise SparseError(f"{progress.unreadable[0]}; nothing is asked for until that is set right")
    for file in progress.unknown:
        logger.warning("%s belongs to no case: what it holds does not count", file)
    return progress
