import pytest
import torch
import torch.nn.functional as F

from nnunet_sparse.architectures.unet3d import build


def test_as_many_parameters_as_in_the_paper():
    with torch.device("meta"):
        network = build(3, 3, (128, 128, 128))
    counted = sum(p.numel() for p in network.parameters())
    shifts = sum(p.numel() for n, p in network.named_parameters() if n.endswith("norm.bias"))
    assert counted - shifts == 19_069_955


def test_features_double_before_pooling():
    network = build(1, 2, (16, 16, 16), base_features=2)
    widths = [[c.output_channels for c in block.convs] for block in network.encoder]
    assert widths == [[2, 4], [4, 8], [8, 16], [16, 32]]
    widths = [[c.output_channels for c in block.convs] for block in network.decoder]
    assert widths == [[16, 16], [8, 8], [4, 4]]


@pytest.mark.parametrize("downscale", [1, 2, 3])
def test_patches_are_shrunk(downscale):
    network = build(1, 2, (48, 48, 48), base_features=2, downscale=downscale).eval()
    seen = []
    network.encoder[0].register_forward_hook(lambda _, inputs, __: seen.extend(inputs))
    images = torch.randn(1, 1, 48, 48, 48)
    with torch.inference_mode():
        assert network(images).shape == (1, 2, 48, 48, 48)
    n = downscale
    cut = images.reshape(48 // n, n, 48 // n, n, 48 // n, n)
    torch.testing.assert_close(seen[0][0, 0], cut.mean(dim=(1, 3, 5)), atol=1e-5, rtol=1e-4)


def test_half_size_is_what_interpolation_gives():
    images = torch.randn(1, 1, 4, 6, 8)
    expected = F.interpolate(images, scale_factor=0.5, mode="trilinear", align_corners=False)
    torch.testing.assert_close(F.avg_pool3d(images, 2), expected)


def test_logits_of_a_training_can_stay_shrunk():
    shrunk, full = (
        build(1, 2, (16, 32, 16), base_features=2, shrink_labels=s) for s in (True, False)
    )
    full.load_state_dict(shrunk.state_dict())
    images = torch.randn(1, 1, 16, 32, 16)
    assert shrunk(images).shape == (1, 2, 8, 16, 8)
    assert full(images).shape == (1, 2, 16, 32, 16)
    full.load_state_dict(shrunk.state_dict())
    with torch.inference_mode():
        torch.testing.assert_close(shrunk.eval()(images), full.eval()(images))


def test_labels_of_padded_patches_are_not_shrunk():
    with pytest.raises(ValueError, match=r"multiples of 16, got \[16, 24, 16\]"):
        build(1, 2, (16, 24, 16), shrink_labels=True)
