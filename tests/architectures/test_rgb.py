import torch

from nnunet_sparse.architectures.rgb import RGBAdapter


def test_gray_images_are_repeated():
    images = torch.rand(2, 1, 4, 5)
    adapter = RGBAdapter(1)
    assert torch.equal(adapter(images), torch.cat([images] * 3, dim=1))
    assert list(adapter.parameters()) == []


def test_three_channels_stay():
    images = torch.rand(2, 3, 4, 5)
    assert RGBAdapter(3)(images) is images


def test_others_begin_as_their_mean_and_are_learned():
    images = torch.rand(2, 4, 4, 5)
    adapter = RGBAdapter(4)
    expected = images.mean(dim=1, keepdim=True).expand(-1, 3, -1, -1)
    torch.testing.assert_close(adapter(images), expected)
    (weight,) = adapter.parameters()
    assert weight.shape == (3, 4, 1, 1)
    assert weight.requires_grad
