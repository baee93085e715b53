"""Why slices were chosen, in words."""

from contextlib import suppress

from nnunet_sparse.campaign.campaign import Campaign
from nnunet_sparse.campaign.predicted_slices import reasons
from nnunet_sparse.system.errors import SparseError


def slice_reasons(campaign: Campaign, case_id: str) -> dict[int, str]:
    """Round and selector of each slice that was asked for, and how uncertain a network was."""
    found = dict[int, str]()
    second = "a second reading: what somebody else has painted is not shown"
    for number, asking in enumerate(campaign.rounds, 1):
        for index in asking.slices.get(case_id, ()):
            how = second if campaign.is_second_reading else asking.variant.selector
            found.setdefault(index, f"round {number}, {how}")
    with suppress(SparseError):  # a damaged file of pictures keeps nobody from annotating
        for index, (predicted, place) in reasons(campaign, case_id).items():
            rank = f"rank {predicted.rank[place]} of {predicted.num_ranked}"
            found[index] += f": entropy {predicted.entropy[place]:.3g}, {rank}"
    return found
