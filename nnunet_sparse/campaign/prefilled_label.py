"""The label of a case as a campaign hands it out."""

import numpy as np

from nnunet_sparse.campaign.campaign import Campaign
from nnunet_sparse.campaign.predicted_slices import handed_out
from nnunet_sparse.data.geometry import read_geometry


def prefilled_label(campaign: Campaign, case_id: str) -> np.ndarray:
    """Make the label that annotators begin with.

    Returns
    -------
    np.ndarray, shape (z, y, x), unsigned integers
        Background, or what a network predicted, on the slices that are asked for; ignore elsewhere.

    Raises
    ------
    SparseError
        If what was predicted is missing or damaged.
    """
    label = blank_label(campaign, case_id)
    slices = np.moveaxis(label, campaign.axis, 0)
    for i, predicted in handed_out(campaign, case_id).items():
        slices[i] = predicted
    return label


def blank_label(campaign: Campaign, case_id: str) -> np.ndarray:
    """The same with background alone on the slices that are asked for."""
    shape = read_geometry(campaign.image_files(case_id)[0], campaign.images.reader()).shape
    ignore = campaign.ignore_label
    label = np.full(shape, ignore, np.min_scalar_type(ignore))
    np.moveaxis(label, campaign.axis, 0)[list(campaign.asked(case_id))] = 0
    return label
