from typing import Any

import nibabel
import numpy as np
import pytest
from campaign.annotator import edit, load
from campaign.conftest import CampaignWriter

from nnunet_sparse.campaign.campaign import Round
from nnunet_sparse.campaign.prefill import check_extendable, prefill
from nnunet_sparse.selection.variant import Variant
from nnunet_sparse.system.errors import SparseError

MORE = Round(Variant(0.5, 1.0, "fixed"), {"a": (0, 1)})


def test_labels_that_are_missing_are_made(write_campaign: CampaignWriter) -> None:
    affine = np.array([[0, -0.7, 0, 5], [1.2, 0, 0, -3], [0, 0, 4, 9], [0, 0, 0, 1.0]])
    campaign = write_campaign({"a": (1, 3)}, affine=affine)
    before = campaign.label_file("a").read_bytes()
    campaign.label_file("a").unlink()
    prefill(campaign, 1)
    label = load(campaign.label_file("a"))
    assert [set(np.unique(label[..., z])) for z in range(4)] == [{3}, {0}, {3}, {0}]
    assert label.dtype == np.uint8
    assert campaign.label_file("a").read_bytes() == before


def test_more_slices_leave_what_is_annotated(write_campaign: CampaignWriter) -> None:
    campaign = write_campaign({"a": (3,)}).completed()

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
    campaign = write_campaign({"a": (3,)}).completed()
    edit(campaign.label_file("a"), lambda voxels: voxels.fill(3))  # nobody could tell
    prefill(campaign, 1)
    assert (load(campaign.label_file("a")) == 3).all()


@pytest.mark.parametrize("turn", ["flipped", "exchanged"])
def test_labels_that_a_program_has_turned(write_campaign: CampaignWriter, turn: str) -> None:
    campaign = write_campaign({"a": (3,)}).completed()
    file = campaign.label_file("a")
    edit(file, lambda voxels: voxels[1:3, 2, 3].fill(1))
    image: Any = nibabel.load(file)
    before = np.asarray(image.dataobj).copy()
    codes = [[0, 1], [1, 1], [2, -1]] if turn == "flipped" else [[2, 1], [1, 1], [0, 1]]
    nibabel.save(image.as_reoriented(np.array(codes)), file)
    prefill(campaign.with_round(MORE), 1)
    after: Any = nibabel.load(file)
    back = after.as_reoriented(
        nibabel.orientations.ornt_transform(
            nibabel.io_orientation(after.affine), nibabel.io_orientation(image.affine)
        )
    )
    expected = before.copy()
    expected[..., :2] = 0
    np.testing.assert_array_equal(np.asarray(back.dataobj), expected)
    np.testing.assert_allclose(back.affine, image.affine)


def test_another_file_of_the_case_is_enough(write_campaign: CampaignWriter) -> None:
    campaign = write_campaign({"a": (3,)}).completed()
    file = campaign.label_file("a")
    other = file.with_name("a.nii")
    nibabel.save(nibabel.load(file), other)
    file.unlink()
    with pytest.raises(
        SparseError, match=r"a\.nii: more slices can be asked for in a\.nii\.gz only"
    ):
        check_extendable(campaign)
    prefill(campaign.with_round(MORE), 1)
    assert not file.exists()
