"""Bringing rounds into what people work with: labels, worklist, guide and label descriptions."""

from collections.abc import Mapping

from nnunet_sparse.campaign.campaign import Campaign
from nnunet_sparse.campaign.guide import write_guide
from nnunet_sparse.campaign.label_descriptions import write_label_descriptions
from nnunet_sparse.campaign.prefill import prefill
from nnunet_sparse.campaign.progress import find_progress
from nnunet_sparse.campaign.slice_states import SliceStates
from nnunet_sparse.campaign.worklist import Answers, work_order, write_worklist


def begin_work(campaign: Campaign, num_processes: int) -> Campaign:
    """Make all that people work with, for a campaign on which nobody has worked yet.

    Returns
    -------
    Campaign
        As it stands in ``campaign.json`` then, which is complete.
    """
    prefill(campaign, num_processes)
    write_work(campaign, Answers(), None, num_processes)
    return _completed(campaign)


def finish_round(campaign: Campaign, num_processes: int) -> Campaign:
    """Bring rounds that are not complete into labels, worklist and guide; as :func:`begin_work`."""
    prefill(campaign, num_processes)
    answers, progress = find_progress(campaign, None, None, num_processes)
    write_work(campaign, answers, progress.states, num_processes)
    return _completed(campaign)


def write_work(
    campaign: Campaign,
    answers: Answers,
    states: Mapping[str, SliceStates] | None,
    num_processes: int,
) -> None:
    """Write all that people read: worklist, label descriptions, guide and pictures."""
    write_worklist(campaign, answers, states)
    write_label_descriptions(campaign)
    order = list(dict.fromkeys(case_id for _, case_id, _ in work_order(campaign)))
    write_guide(campaign, order, num_processes)


def _completed(campaign: Campaign) -> Campaign:
    campaign = campaign.completed()
    campaign.write()
    return campaign
