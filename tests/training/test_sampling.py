import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from nnunetv2.training.dataloading.data_loader import nnUNetDataLoader

from nnunet_sparse.training.sampling import PLACEMENTS, place_patch, placement_range


@pytest.mark.parametrize(
    ("voxel", "image", "patch", "placement", "first", "last"),
    [
        (10, 20, 4, "anywhere", 7, 10),
        (0, 20, 4, "anywhere", -3, 0),
        (10, 20, 4, "inside", 7, 10),
        (1, 20, 4, "inside", 0, 1),
        (19, 20, 4, "inside", 16, 16),
        # the image fits into the patch in three ways
        (3, 5, 7, "inside", -2, 0),
        (3, 5, 7, "anywhere", -3, 3),
        (10, 20, 4, "centre", 8, 8),
        (1, 20, 4, "centre", 0, 0),
        (19, 20, 4, "centre", 17, 17),
        (4, 5, 8, "centre", 0, 0),
        (0, 5, 8, "centre", -2, -2),
    ],
)
def test_range_by_hand(voxel, image, patch, placement, first, last):
    choices = placement_range(voxel, image, patch, placement)
    assert (choices[0], choices[-1]) == (first, last)


sizes = st.integers(1, 40)


@given(sizes, sizes, st.data(), st.sampled_from(PLACEMENTS))
def test_every_placement_contains_the_voxel(image, patch, data, placement):
    voxel = data.draw(st.integers(0, image - 1))
    choices = placement_range(voxel, image, patch, placement)
    assert len(choices) > 0
    assert all(first <= voxel < first + patch for first in choices)


@given(sizes, sizes, st.data())
def test_inside_is_the_part_of_anywhere_with_the_least_padding(image, patch, data):
    voxel = data.draw(st.integers(0, image - 1))

    def padding(first):
        return max(0, -first) + max(0, first + patch - image)

    everywhere = placement_range(voxel, image, patch, "anywhere")
    assert len(everywhere) == patch
    least = max(0, patch - image)
    expected = [first for first in everywhere if padding(first) == least]
    assert list(placement_range(voxel, image, patch, "inside")) == expected


class _OneVoxel:
    """Stands for a data loader of nnU-Net with one case and one annotated voxel."""

    has_ignore = True
    annotated_classes_key = (-1, 0)
    need_to_pad = np.zeros(1, int)

    def __init__(self, patch):
        self.patch_size = [patch]


@given(sizes, sizes, st.data())
def test_centre_is_where_nnunet_puts_the_patch(image, patch, data):
    voxel = data.draw(st.integers(0, image - 1))
    locations = {(-1, 0): np.array([[0, voxel]])}
    (expected,), _ = nnUNetDataLoader.get_bbox(_OneVoxel(patch), [image], False, locations)
    assert list(placement_range(voxel, image, patch, "centre")) == [expected]


@pytest.mark.parametrize(
    ("voxel", "image", "patch", "first"),
    [(5, 20, 6, 2), (1, 20, 6, 0), (19, 20, 6, 14), (3, 4, 8, -1), (0, 4, 8, -4), (2, 5, 5, 0)],
)
def test_centre_inside_by_hand(voxel, image, patch, first):
    assert list(placement_range(voxel, image, patch, "centre_inside")) == [first]


def test_placements_are_drawn_uniformly():
    rng = np.random.default_rng(0)
    corners = [place_patch([9, 2], [20, 3], [4, 1], "anywhere", rng) for _ in range(4000)]
    firsts, counts = np.unique([corner[0] for corner in corners], return_counts=True)
    assert firsts.tolist() == [6, 7, 8, 9]
    assert np.abs(counts - 1000).max() < 5 * np.sqrt(1000)
    assert {corner[1] for corner in corners} == {2}


@pytest.mark.parametrize("voxel", [-1, 5])
def test_a_voxel_outside_is_refused(voxel):
    with pytest.raises(ValueError, match=f"voxel {voxel} lies outside an image of 5"):
        placement_range(voxel, 5, 3, "inside")


def test_an_unknown_placement_is_refused():
    with pytest.raises(ValueError, match="centre, centre_inside, inside, anywhere, got 'middle'"):
        placement_range(0, 5, 3, "middle")
