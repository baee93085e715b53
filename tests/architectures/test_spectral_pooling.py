import math

import pytest
import torch

from nnunet_sparse.architectures.spectral_pooling import HybridPooling, spectral_pool


def wave(frequency_y, frequency_x, size=16):
    """A plane wave with so many periods, sampled at so many points of each axis."""
    points = torch.arange(size) / size * 2 * math.pi
    phase = frequency_y * points[:, None] + frequency_x * points
    return torch.cos(phase + 0.3)[None, None]


# of 16 frequencies 8 are kept, without the outermost: up to 3
@pytest.mark.parametrize("frequencies", [(0, 0), (1, 0), (0, 3), (3, -3), (-2, 1)])
def test_low_frequencies_pass(frequencies):
    image = wave(*frequencies)
    torch.testing.assert_close(spectral_pool(image, 2, (16, 16)), image, atol=1e-5, rtol=0)


@pytest.mark.parametrize("frequencies", [(4, 0), (0, 4), (7, 1), (0, 8), (2, -5)])
def test_high_frequencies_vanish(frequencies):
    pooled = spectral_pool(wave(*frequencies), 2, (16, 16))
    torch.testing.assert_close(pooled, torch.zeros(1, 1, 16, 16), atol=1e-5, rtol=0)


def test_a_smaller_image_shows_the_same_wave():
    image = wave(1, -2) + wave(7, 0) + 5
    expected = wave(1, -2, size=8) + 5
    torch.testing.assert_close(spectral_pool(image, 2, (8, 8)), expected, atol=1e-5, rtol=1e-5)


def test_down_to_the_mean():
    image = torch.rand(2, 3, 16, 32)
    pooled = spectral_pool(image, 16, (1, 2))
    expected = image.mean(dim=(2, 3), keepdim=True).expand(-1, -1, 1, 2)
    torch.testing.assert_close(pooled, expected)


def test_odd_sides():
    # 9 // 2 = 4 and 7 // 2 = 3 frequencies, so up to 1
    points_y, points_x = torch.arange(9) / 9 * 2 * math.pi, torch.arange(7) / 7 * 2 * math.pi
    low = (torch.sin(points_y)[:, None] + torch.cos(points_x))[None, None]
    high = (torch.sin(2 * points_y)[:, None] * torch.cos(3 * points_x))[None, None]
    torch.testing.assert_close(spectral_pool(low + high, 2, (9, 7)), low, atol=1e-5, rtol=0)


def test_single_precision_under_autocast():
    image = wave(1, 2)
    with torch.autocast("cpu", torch.bfloat16):
        pooled = spectral_pool(image, 2, (16, 16))
        half = spectral_pool(image.half(), 2, (16, 16))
    torch.testing.assert_close(pooled, image, atol=1e-5, rtol=0)
    assert half.dtype == torch.float16


def choose(pooling, part):
    """Let the joining convolution give one of its two inputs, for one channel."""
    with torch.no_grad():
        pooling.join.weight.copy_(torch.eye(2)[part].view(1, 2, 1, 1))
        pooling.join.bias.zero_()
    return pooling


def test_hybrid_pooling_joins_both():
    image = wave(1, 2) + wave(6, 0)
    highest = choose(HybridPooling(1, 2), 0)(image)
    assert torch.equal(highest[0, 0, 0, 0], image[0, 0, :2, :2].max())
    smooth = choose(HybridPooling(1, 2), 1)(image)
    torch.testing.assert_close(smooth, wave(1, 2, size=8).relu(), atol=1e-5, rtol=0)


def test_pooling_that_keeps_the_size():
    image = -1 - torch.arange(12.0).reshape(1, 1, 3, 4)
    highest = choose(HybridPooling(1, 1), 0)(image)
    # the upper left one of four pixels, also at the border
    assert torch.equal(highest, image)
    assert torch.equal(
        choose(HybridPooling(1, 1), 0)(-image)[0, 0, 0], -image[0, 0, 1, [1, 2, 3, 3]]
    )
    smooth = choose(HybridPooling(1, 1), 1)(wave(1, 2) + wave(6, 0))
    torch.testing.assert_close(smooth, wave(1, 2).relu(), atol=1e-5, rtol=0)
