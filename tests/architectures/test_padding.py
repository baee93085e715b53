import pytest
import torch

from nnunet_sparse.architectures.padding import check_dimensions, crop_to_size, pad_to_multiple


def test_zeros_on_both_sides_by_hand():
    images = torch.arange(1.0, 7).reshape(1, 1, 2, 3)
    padded = pad_to_multiple(images, 4)
    expected = [[0, 0, 0, 0], [1, 2, 3, 0], [4, 5, 6, 0], [0, 0, 0, 0]]
    assert padded[0, 0].tolist() == expected


@pytest.mark.parametrize("shape", [(7,), (8, 5), (1, 16, 9)])
def test_cropping_is_the_inverse(shape):
    images = torch.rand(2, 3, *shape)
    padded = pad_to_multiple(images, 8)
    assert padded.shape[2:] == tuple(-(-side // 8) * 8 for side in shape)
    assert torch.equal(crop_to_size(padded, shape), images)


def test_nothing_is_copied_if_nothing_is_missing():
    images = torch.rand(1, 1, 8, 16)
    assert pad_to_multiple(images, 8) is images


@pytest.mark.parametrize(
    ("patch", "message"),
    [((8, 8, 8), r"2D .* got \[8, 8, 8\]"), ((8,), "2D"), ((8, 0), r"positive, got \[8, 0\]")],
)
def test_wrong_patches(patch, message):
    with pytest.raises(ValueError, match=message):
        check_dimensions(patch, 2)
