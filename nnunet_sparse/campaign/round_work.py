"""Bringing rounds into what people work with: labels, worklist, guide and label descriptions.

Slices that another annotator is asked for as well go into a folder of their own, with files of the
same kinds, that shows nothing of the first reading.
"""

from collections.abc import Mapping
from dataclasses import replace

from nnunet_sparse.campaign.campaign import CAMPAIGN_FILE, LOCK_FILE, Campaign
from nnunet_sparse.campaign.guide import write_guide
from nnunet_sparse.campaign.label_descriptions import write_label_descriptions
from nnunet_sparse.campaign.prefill import prefill
from nnunet_sparse.campaign.progress import find_progress
from nnunet_sparse.campaign.slice_states import SliceStates
from nnunet_sparse.campaign.worklist import WORKLIST_FILE, Answers, work_order, write_worklist
from nnunet_sparse.system.links import link_file
from nnunet_sparse.system.locks import locked


def finish_round(campaign: Campaign, num_processes: int) -> Campaign:
    """Bring rounds that are not complete into labels, worklist and guide.

    Parameters
    ----------
    campaign
        The campaign, in a folder under a lock.
    num_processes
        Number of processes.

    Returns
    -------
    Campaign
        As it stands in ``campaign.json`` then, which is complete.

    Raises
    ------
    SparseError
        If a label or the worklist cannot be read.
    """
    prefill(campaign, num_processes)
    if (campaign.folder / WORKLIST_FILE).is_file() or campaign.rounds[0].complete:
        answers, progress = find_progress(campaign, None, None, num_processes)
        write_work(campaign, answers, progress.states, num_processes)
    else:  # nobody has worked on it yet
        write_work(campaign, Answers(), None, num_processes)
    if campaign.second_cases:
        _hand_out_second(campaign, num_processes)
    campaign = campaign.completed()
    campaign.write()
    return campaign


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


def _hand_out_second(campaign: Campaign, num_processes: int) -> None:
    """Bring the folder of second readings to what the rounds ask for."""
    second = campaign.second_reading()
    (second.folder / "images").mkdir(parents=True, exist_ok=True)
    with locked(second.folder / LOCK_FILE, f"Another process is working in {second.folder}"):
        if (second.folder / CAMPAIGN_FILE).is_file():
            done = [asking.complete for asking in Campaign.read(second.folder).rounds]
            rounds = [
                replace(asking, complete=complete)
                for asking, complete in zip(second.rounds, done, strict=False)
            ]
            second = replace(second, rounds=(*rounds, *second.rounds[len(rounds) :]))
        for case_id in second.volumes:
            files = zip(campaign.image_files(case_id), second.image_files(case_id), strict=True)
            for image, other in files:
                # what is not a link is the campaign's own, and may be moved with it
                link_file(image, other, hard=not image.is_symlink())
        if not second.is_complete:
            second.write()
            finish_round(second, num_processes)
