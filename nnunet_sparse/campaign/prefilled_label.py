"""The label of a case as a campaign hands it out."""

import numpy as np

from nnunet_sparse.campaign.campaign import Campaign
from nnunet_sparse.data.geometry import read_geometry


def prefilled_label(campaign: Campaign, case_id: str) -> np.ndarray:
    """Make the label that annotators begin with.

    Returns
    -------
    np.ndarray, shape (z, y, x), unsigned integers
        Background on the slices that are asked for, ignore elsewhere.
    """
    shape = read_geometry(campaign.image_files(case_id)[0], campaign.images.reader()).shape
    ignore = campaign.ignore_label
    label = np.full(shape, ignore, np.min_scalar_type(ignore))
    np.moveaxis(label, campaign.axis, 0)[list(campaign.asked(case_id))] = 0
    return label
