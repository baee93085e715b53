import numpy as np
import pytest
import torch

from nnunet_sparse.interpolation.edge_profile import (
    difference_scale,
    differences,
    edge_profile,
    grey_level,
)


def test_differences_by_hand():
    image = torch.zeros(1, 1, 9, 9)
    image[..., 4, 6] = 5.0
    found = differences(image)
    assert found.shape == (1, 1, 48, 9, 9)
    # two columns to the right of (4, 4): row 3 and column 5 of the window, its centre left out
    assert found[0, 0, :, 4, 4].nonzero().flatten().tolist() == [3 * 7 + 5 - 1]
    assert found[0, 0, :, 4, 6].tolist() == [-5.0] * 48


def test_the_edge_is_continued():
    assert not differences(torch.full((1, 1, 4, 4), 3.0)).any()


@pytest.mark.parametrize("factor", [1.0, 1e-3, 1e3])
def test_scale_and_offset_do_not_matter(factor):
    image = torch.rand(2, 1, 12, 10, generator=torch.Generator().manual_seed(0))
    other = factor * image + 7 * factor
    expected = edge_profile(image, difference_scale(image))
    found = edge_profile(other, difference_scale(other))
    torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-3)
    np.testing.assert_allclose(found.sum(dim=1), 48, rtol=1e-4)
    # neither one neighbour alone nor all alike
    assert 1.5 < float(found.amax(dim=1).median()) < 40


def test_channels_are_profiled_apart():
    images = torch.rand(1, 2, 8, 8, generator=torch.Generator().manual_seed(0))
    images[:, 1] *= 100
    scale = difference_scale(images)
    both = edge_profile(images, scale)
    for channel in (0, 1):
        one = images[:, channel : channel + 1]
        torch.testing.assert_close(
            both[:, 48 * channel : 48 * (channel + 1)], edge_profile(one, scale[channel, None])
        )


def test_constant_slices_have_a_flat_profile():
    image = torch.ones(1, 1, 5, 5)
    assert difference_scale(image).isnan().all()
    assert torch.equal(edge_profile(image, torch.ones(1)), torch.ones(1, 48, 5, 5))


def test_grey_levels_by_hand():
    volume = torch.zeros(2, 2, 3, 3)
    volume[1, 0, 1, 1], volume[0, 0, 0, 0], volume[:, 1] = 2.0, -3.1, 7.0
    torch.testing.assert_close(grey_level(volume), torch.tensor([0.02, 0.0]))


def test_the_published_profile_prefers_dark_neighbours():
    image = torch.zeros(1, 1, 9, 9)
    image[..., 4, 6] = -2.0
    profile = edge_profile(image, torch.tensor([-1.0]))[0, :, 4, 4]
    assert int(profile.argmax()) == 3 * 7 + 5 - 1
    # softmax of a pixel minus its neighbours: one difference of 2 among 47 of 0
    assert float(profile.amax() / profile.amin()) == pytest.approx(np.exp(2.0), rel=1e-5)
