"""The label of a case on which nobody has worked."""

import numpy as np

from nnunet_sparse.campaign.campaign import Campaign
from nnunet_sparse.data.geometry import read_geometry


def prefilled_label(campaign: Campaign, case_id: str) -> np.ndarray:
    """Label of a case on which nobody has worked: (z, y, x), background on the slices asked for."""
    shape = read_geometry(campaign.image_files(case_id)[0], campaign.images.reader()).shape
    ignore = campaign.ignore_label
    label = np.full(shape, ignore, np.min_scalar_type(ignore))
    np.moveaxis(label, campaign.axis, 0)[list(campaign.asked(case_id))] = 0
    return label
