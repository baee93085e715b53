"""The label of a case on which nobody has worked."""

import numpy as np

from nnunet_sparse.campaign.campaign import Campaign
from nnunet_sparse.data.geometry import read_geometry
from nnunet_sparse.data.label_files import label_dtype


def prefilled_label(campaign: Campaign, case_id: str) -> np.ndarray:
    """Label of a case on which nobody has worked: (z, y, x), background on the slices asked for."""
    shape = read_geometry(campaign.image_files(case_id)[0], campaign.images.reader()).shape
    ignore = campaign.ignore_label
    label = np.full(shape, ignore, label_dtype(np.dtype(np.uint8), ignore))
    planes_of(label, campaign.axis)[list(campaign.asked(case_id))] = 0
    return label


def planes_of(label: np.ndarray, axis: int) -> np.ndarray:
    """View of a label with its slices first."""
    return np.moveaxis(label, axis, 0)
