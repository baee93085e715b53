import pytest
import torch
from torch import nn

from nnunet_sparse.architectures.cam_wnet import build

TINY = {
    "vgg_channels": [[4], [4], [6], [8], [8]],
    "decoder_channels": [8, 6, 4, 4],
    "channels": [4, 6, 8, 8, 8],
    "reduction": 2,
}


class Nothing(nn.Module):
    def forward(self, x):
        return torch.zeros_like(x)


@pytest.fixture
def network():
    torch.manual_seed(0)
    # with the statistics of the batch, so that little gets lost on the way through fresh weights
    return build(2, 4, (32, 32), **TINY).train()


@pytest.fixture
def images():
    return torch.randn(1, 2, 40, 50, generator=torch.Generator().manual_seed(1))


def record(module):
    """Inputs and outputs of a module's calls."""
    calls = []
    module.register_forward_hook(lambda _, inputs, output: calls.append((*inputs, output)))
    return calls


def test_two_encoder_decoders_in_a_row(network, images):
    coarse, fine = record(network.coarse), record(network.fine)
    with torch.inference_mode():
        logits = network(images)
    ((padded, coarse_logits),) = coarse
    ((joined, fine_logits),) = fine
    assert padded.shape == (1, 2, 48, 64)
    torch.testing.assert_close(padded[:, :, 4:44, 7:57], images)
    assert coarse_logits.shape == fine_logits.shape == (1, 4, 48, 64)
    # the image, then the probabilities of the three foreground classes
    assert torch.equal(joined[:, :2], padded)
    torch.testing.assert_close(joined[:, 2:], coarse_logits.softmax(1)[:, 1:])
    assert torch.equal(logits, fine_logits[:, :, 4:44, 7:57])


@pytest.mark.parametrize("stage", ["coarse", "fine"])
def test_both_go_down_four_times_and_up_again(network, images, stage):
    encoder = getattr(network, stage).encoder
    blocks = encoder.features if stage == "coarse" else encoder
    down = [record(block) for block in blocks if not isinstance(block, nn.ReLU | nn.MaxPool2d)]
    up = [record(block) for block in getattr(network, stage).decoder]
    with torch.inference_mode():
        network(images)
    heights = [calls[0][-1].shape[2] for calls in (*down, *up)]
    assert heights == [48, 24, 12, 6, 3, 6, 12, 24, 48]


@pytest.mark.parametrize("level", range(4))
def test_attention_in_every_skip_of_the_second_stage(network, images, level):
    calls = record(network.fine.attention[level])
    blocks = record(network.fine.encoder[level])
    decoder = record(network.fine.decoder[3 - level])
    with torch.inference_mode():
        before = network(images)
        features, weighted = calls[0]
        assert torch.equal(features, blocks[0][-1])
        assert torch.equal(decoder[0][0][:, : features.shape[1]], weighted)
        # it lies in the skip alone: the level below does not see it
        below = record(network.fine.encoder[level + 1])
        network.fine.attention[level] = Nothing()
        assert not torch.allclose(network(images), before, atol=1e-4)
        expected = nn.functional.max_pool2d(features, 2)
        assert torch.equal(below[0][0], expected)


def test_no_attention_in_the_first_stage(network):
    assert len(network.fine.attention) == 4
    assert not any("attention" in name for name, _ in network.coarse.named_modules())


def test_the_coarse_encoder_sees_three_channels(images):
    network = build(1, 2, (32, 32), **TINY).eval()
    calls = record(network.coarse.encoder)
    network(images[:, :1])
    pictures = calls[0][0]
    assert pictures.shape[1] == 3
    assert torch.equal(pictures[:, 0], pictures[:, 2])
    # the second stage has the image's own channels and one foreground class
    first = next(m for m in network.fine.modules() if isinstance(m, nn.Conv2d))
    assert first.in_channels == 2


def test_contradictions():
    with pytest.raises(ValueError, match=r"decoder_channels must have 4 numbers.*got \[4, 4\]"):
        build(1, 2, (32, 32), decoder_channels=[4, 4])
    with pytest.raises(ValueError, match="background and a foreground class, got 1"):
        build(1, 1, (32, 32), **TINY)
