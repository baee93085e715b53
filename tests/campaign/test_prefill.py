from dataclasses import replace

import numpy as np
from campaign.annotator import edit, load
from campaign.conftest import CampaignWriter

from nnunet_sparse.campaign.campaign import Campaign, Round
from nnunet_sparse.campaign.prefill import prefill
from nnunet_sparse.variant import Variant

MORE = Round(Variant(0.5, 1.0, "fixed"), {"a": (0, 1)})


def test_labels_that_are_missing_are_made(write_campaign: CampaignWriter) -> None:
    affine = np.array([[0, -0.7, 0, 5], [1.2, 0, 0, -3], [0, 0, 4, 9], [0, 0, 0, 1.0]])
    campaign = write_campaign({"a": (1, 3)}, affine=affine)
    before = campaign.label_file("a").read_bytes()
    campaign.label_file("a").unlink()
    done = prefill(campaign, 1)
    assert all(asking.prefilled for asking in done.rounds)
    assert Campaign.read(campaign.folder).rounds[0].prefilled
    label = load(campaign.label_file("a"))
    assert [set(np.unique(label[..., z])) for z in range(4)] == [{3}, {0}, {3}, {0}]
    assert label.dtype == np.uint8
    assert len(before) > 0


def test_more_slices_leave_what_is_annotated(write_campaign: CampaignWriter) -> None:
    campaign = replace(write_campaign({"a": (3,)}).prefilled())

    def paint(voxels: np.ndarray) -> None:
        voxels[1:3, 2, 3] = 1
        voxels[0, 0, 1] = 2  # an extra slice

    edit(campaign.label_file("a"), paint)
    before = load(campaign.label_file("a"))
    prefill(campaign.with_round(MORE), 1)
    after = load(campaign.label_file("a"))
    np.testing.assert_array_equal(after[..., 0], 0)
    np.testing.assert_array_equal(after[..., 1:], before[..., 1:])


def test_what_is_prefilled_is_not_touched(write_campaign: CampaignWriter) -> None:
    campaign = write_campaign({"a": (3,)}).prefilled()
    edit(campaign.label_file("a"), lambda voxels: voxels.fill(3))  # nobody could tell
    prefill(campaign, 1)
    assert (load(campaign.label_file("a")) == 3).all()
