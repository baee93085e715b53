"""A tiny campaign whose images and label files are there."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest
from campaign.made_campaigns import copy_campaign

from nnunet_sparse.campaign.campaign import Campaign, CampaignVolume, Round
from nnunet_sparse.selection.variant import Variant

__all__ = ["copy_campaign", "save_nifti", "write_campaign"]

CampaignWriter = Callable[..., Campaign]


@pytest.fixture
def write_campaign(tmp_path: Path) -> CampaignWriter:
    """Function that writes images and prefilled labels, in the orientation of an affine (RAS)."""

    def write(
        slices: dict[str, tuple[int, ...]],
        image: np.ndarray | None = None,
        affine: np.ndarray | None = None,
        axis: int = 0,
        name: str = "campaign",
        labels: dict[str, Any] | None = None,
        channels: tuple[str, ...] = ("MR",),
    ) -> Campaign:
        folder = tmp_path / name
        labels = labels or {"organ": 1, "lesion": 2}
        image = np.zeros((4, 6, 5), np.float32) if image is None else image  # (z, y, x)
        campaign = Campaign(
            folder,
            {
                "channel_names": {str(i): channel for i, channel in enumerate(channels)},
                "labels": {"background": 0, **labels},
            },
            axis,
            "axial",
            {case_id: CampaignVolume(image.shape[axis], (case_id,)) for case_id in slices},
            (Round(Variant(0.5, 1.0, "random"), slices),),
        )
        for case_id, asked in slices.items():
            label = np.full(image.shape, campaign.ignore_label, np.uint8)
            np.moveaxis(label, axis, 0)[list(asked)] = 0
            save_nifti(campaign.label_file(case_id), label, affine)
            for file in campaign.image_files(case_id):
                save_nifti(file, image, affine)
        return campaign

    return write


def save_nifti(file: Path, array: np.ndarray, affine: np.ndarray | None) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    nibabel.save(nibabel.Nifti1Image(array.T, np.eye(4) if affine is None else affine), file)
