import pytest
import torch
from torch import nn

from nnunet_sparse.architectures.inception_block import InceptionBlock
from nnunet_sparse.architectures.inception_unet import build

CHANNELS = (2, 3, 4, 5, 6)


def test_the_block_has_three_convolutions_and_pooling():
    block = InceptionBlock(2, 7, 0.0, batch_norm=False)
    assert [tuple(c.weight.shape) for c in block.activated] == [
        (7, 2, 1, 1),
        (7, 2, 3, 3),
        (7, 2, 5, 5),
        (7, 3 * 7 + 2, 1, 1),
    ]
    # the centre pixel is seen from two pixels away by the largest kernel, and by all in spectra
    image = torch.zeros(1, 2, 9, 9)
    image[..., 4, 4] = 1
    for branch, reach in zip(block.branches, (0, 1, 2), strict=True):
        seen = (branch[0](image) - branch[0](torch.zeros_like(image)))[0].abs().sum(0) > 0
        expected = torch.zeros(9, 9, dtype=torch.bool)
        expected[4 - reach : 5 + reach, 4 - reach : 5 + reach] = True
        assert torch.equal(seen, expected)


def test_dropout_is_mirrored():
    network = build(1, 2, (32, 32), channels=CHANNELS)
    assert [block.dropout.p for block in network.encoder] == [0.1, 0.1, 0.2, 0.2]
    assert network.bottleneck.dropout.p == 0
    assert [block.dropout.p for block in network.decoder] == [0.2, 0.2, 0.1, 0.1]


def test_the_bottleneck_sees_the_input():
    network = build(3, 2, (32, 48), channels=CHANNELS).eval()
    seen = []
    network.bottleneck.register_forward_hook(lambda _, inputs, __: seen.extend(inputs))
    images = torch.rand(1, 3, 32, 48)
    network(images)
    below, shortcut = seen
    assert below.shape == (1, 5, 2, 3)
    torch.testing.assert_close(shortcut, network.shortcut(network.norm(images)))
    assert shortcut.shape == (1, 3, 2, 3)


def test_padding_does_not_count_in_the_statistics():
    network = build(1, 2, (32, 32), channels=CHANNELS)
    network(torch.full((2, 1, 17, 20), 5.0))
    assert network.norm.running_mean.item() == pytest.approx(0.5)


def test_batch_normalisation_is_a_switch():
    counts = {
        on: sum(
            isinstance(m, nn.BatchNorm2d)
            for m in build(1, 2, (32, 32), channels=CHANNELS, batch_norm=on).modules()
        )
        for on in (False, True)
    }
    # four branches of nine blocks
    assert counts == {False: 0, True: 36}


def test_weights_begin_as_in_the_public_code():
    torch.manual_seed(0)
    network = build(1, 2, (32, 32))
    conv = network.encoder[3].branches[1][0]
    limit = (6 / (64 * 9)) ** 0.5
    assert 0.99 * limit < conv.weight.abs().max() <= limit
    assert all((m.bias == 0).all() for m in network.modules() if isinstance(m, nn.Conv2d))


def test_dropout_of_every_stage():
    with pytest.raises(ValueError, match=r"each of 4 stages, got \[0.1\]"):
        build(1, 2, (32, 32), dropout=[0.1])
