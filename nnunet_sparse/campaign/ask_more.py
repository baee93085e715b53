"""Asking for more slices of a campaign."""

import argparse
import logging

from nnunet_sparse.campaign.asked_round import Round
from nnunet_sparse.campaign.campaign import Campaign
from nnunet_sparse.campaign.make_campaign import extend_campaign
from nnunet_sparse.campaign.open_campaign import campaign_lock, open_campaign
from nnunet_sparse.campaign.prefill import check_extendable
from nnunet_sparse.campaign.progress import CampaignProgress, find_progress
from nnunet_sparse.campaign.round_work import finish_round
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
        variant = variant_of(args, before.rounds[0].variant)
        asked = _asked_network(before, variant, network, args)
        campaign = open_campaign(args.campaign, args.num_processes)
        if before.is_complete or not _is_same(campaign.rounds[-1], variant, asked, args):
            campaign = _extended(campaign, variant, asked, args)
            if not args.dry_run:
                campaign.write()
                finish_round(campaign, args.num_processes)
    return campaign


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
    asking: Round, variant: Variant, asked: AskedNetwork | None, args: argparse.Namespace
) -> bool:
    """Whether a round that a killed call has left is the one that is asked for."""
    digests = (
        None if asking.network is None else asking.network.get("digest"),
        None if asked is None else asked.provenance()["digest"],
    )
    return (asking.variant, asking.is_prefilled, digests[0]) == (
        variant,
        args.prefill_prediction,
        digests[1],
    )


def _extended(
    campaign: Campaign,
    variant: Variant,
    asked: AskedNetwork | None,
    args: argparse.Namespace,
) -> Campaign:
    """The campaign with another round, which is to be finished."""
    check_extendable(campaign)
    _, progress = find_progress(campaign, None, None, args.num_processes)
    _refuse_unreadable(progress)
    return extend_campaign(
        campaign,
        variant,
        progress.states,
        args.device,
        args.num_processes,
        asked=asked,
        is_prefilled=args.prefill_prediction,
        dry_run=args.dry_run,
    )


def _refuse_unreadable(progress: CampaignProgress) -> None:
    """More slices can only be asked for where it is known what is annotated."""
    unreadable = [c.problem for c in progress.cases.values() if c.problem and not c.is_missing]
    unreadable += progress.unusable.values()
    if unreadable:
        raise SparseError(f"{unreadable[0]}; nothing is asked for until that is set right")
    for file in progress.unknown:
        logger.warning("%s belongs to no case: what it holds does not count", file)
