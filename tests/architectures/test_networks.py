"""What holds for all networks, at sizes that take a fraction of a second."""

import re

import pytest
import torch
import torch._inductor.config
import torch.nn.functional as F
from torch import nn

from nnunet_sparse.architectures import ARCHITECTURES, architecture_dimensions, build_network

TINY = {
    "inception_unet": {"channels": [2, 3, 4, 5, 6]},
    "segformer": {
        "depths": [1, 1, 1, 1],
        "hidden_sizes": [4, 8, 12, 16],
        "num_attention_heads": [1, 2, 3, 4],
        "decoder_hidden_size": 8,
        "drop_path": 0.0,
    },
    "cam_wnet": {
        "vgg_channels": [[4], [4, 4], [6], [8], [8]],
        "decoder_channels": [8, 6, 4, 4],
        "channels": [4, 6, 8, 8, 8],
        "reduction": 2,
    },
    "unet3d": {"base_features": 2},
    "segresnet": {"init_filters": 8, "blocks_down": [1, 1, 1, 1]},
    "unetr": {"feature_size": 2, "hidden_size": 12, "mlp_dim": 16, "num_heads": 2},
    "attention_unet3d": {"channels": [2, 4, 6, 8, 10]},
}
# fewer levels, since compiling takes as long as there are layers
SHALLOW = {
    "inception_unet": {"channels": [2, 3, 4], "dropout": [0.1, 0.1]},
    "cam_wnet": {"vgg_channels": [[4], [6]], "decoder_channels": [4], "channels": [4, 6]},
    "segresnet": {"init_filters": 8, "blocks_down": [1, 1], "blocks_up": [1]},
    "attention_unet3d": {"channels": [2, 4, 6]},
}
PATCHES = {2: (37, 50), 3: (19, 33, 26)}
CHANNELS, CLASSES = 2, 3

# parameters that cannot matter: the same number is added to what a softmax or a normalisation gets
UNTRAINED = {
    "segformer": r"k_proj\.bias|linear_projections\.\d\.proj\.bias|stages\.3\.layer_norm\.bias",
    "attention_unet3d": r"network\.model\.[01]\..*conv\.bias",
}

all_networks = pytest.mark.parametrize("name", ARCHITECTURES)


def patch_of(name):
    return PATCHES[architecture_dimensions(name)]


def make(name, seed=0, sizes=TINY):
    """Network in which no parameter is zero, with running statistics that fit the images."""
    torch.manual_seed(seed)
    network = build_network(name, CHANNELS, CLASSES, patch_of(name), sizes[name]).train()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
        for module in network.modules():
            if isinstance(module, nn.Dropout):
                module.eval()
            elif isinstance(module, nn.BatchNorm2d | nn.BatchNorm3d):
                module.momentum = 1.0
        network(images_for(name))
    return network.eval()


def images_for(name, batch=2):
    generator = torch.Generator().manual_seed(1)
    return torch.randn(batch, CHANNELS, *patch_of(name), generator=generator)


def test_all_have_tiny_sizes():
    assert TINY.keys() == ARCHITECTURES.keys()


@all_networks
def test_logits_have_the_size_of_the_images(name):
    with torch.inference_mode():
        logits = make(name)(images_for(name))
    assert logits.shape == (2, CLASSES, *patch_of(name))
    assert logits.std() > 1e-3


@all_networks
def test_every_parameter_is_trained(name):
    network = make(name).double().train()
    images = images_for(name).double()
    target = torch.randint(CLASSES, (2, *images.shape[2:]))
    F.cross_entropy(network(images), target).backward()
    assert all(p.grad is not None for p in network.parameters())
    unmoved = {n for n, p in network.named_parameters() if p.grad.abs().max() < 1e-12}
    pattern = UNTRAINED.get(name, "$^")
    assert unmoved == {n for n, _ in network.named_parameters() if re.search(pattern, n)}


@pytest.mark.parametrize(
    ("name", "count"),
    [
        ("inception_unet", 3_900_832),
        ("segformer", 47_224_002),
        ("cam_wnet", 26_408_036),
        ("unet3d", 19_070_498),
        ("segresnet", 18_796_002),
        ("unetr", 92_728_546),
        ("attention_unet3d", 23_625_986),
    ],
)
def test_the_published_size(name, count):
    patch = (224, 256) if architecture_dimensions(name) == 2 else (64, 96, 96)
    with torch.device("meta"):
        network = build_network(name, 1, 2, patch, {})
    assert sum(p.numel() for p in network.parameters()) == count


# in double precision, so that only the random numbers' last digits depend on the processor
@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("inception_unet", [-0.297566, -0.393357, -1.724824, -0.236405, -0.358343]),
        ("segformer", [-0.18315, 0.003215, -0.098218, -0.163961, -0.012482]),
        ("cam_wnet", [-0.04111, 0.41152, 0.926558, 0.287241, 0.007829]),
        ("unet3d", [0.484475, -0.758787, -1.214281, 0.873121, 0.109328]),
        ("segresnet", [0.0497, 0.12471, -0.355576, 0.193928, 0.157375]),
        ("unetr", [0.626918, -1.113688, -0.320186, 0.08767, -1.337035]),
        ("attention_unet3d", [-1.487125, -0.030006, -0.992195, -0.151845, -0.040271]),
    ],
)
def test_stored_outputs(name, expected):
    with torch.inference_mode():
        logits = make(name).double()(images_for(name).double()).flatten()
    found = logits[:: len(logits) // 5][:5]
    torch.testing.assert_close(found, torch.tensor(expected).double(), atol=1e-4, rtol=0)


@all_networks
def test_a_batch_is_its_samples(name):
    network, images = make(name), images_for(name, batch=3)
    with torch.inference_mode():
        alone = torch.cat([network(image[None]) for image in images])
        torch.testing.assert_close(network(images), alone, atol=1e-4, rtol=1e-4)
    assert not torch.allclose(alone[0], alone[1], atol=1e-2)


@all_networks
def test_weights_go_into_a_new_network(name):
    network, again, images = make(name), make(name, seed=1), images_for(name)
    with torch.inference_mode():
        expected = network(images)
        assert not torch.allclose(again(images), expected)
        again.load_state_dict(network.state_dict())
        assert torch.equal(again(images), expected)


@all_networks
def test_half_precision(name):
    network, images = make(name), images_for(name)
    with torch.inference_mode():
        expected = network(images)
        with torch.autocast("cpu", torch.bfloat16):
            logits = network(images).float()
    assert (logits - expected).abs().mean() < 0.1 * expected.std()


@pytest.mark.slow
@all_networks
@torch._inductor.config.patch(compile_threads=1)  # others would import torch first
def test_compiled(name):
    """By torch's default compiler for two of them, which takes up to a minute for each network.

    It compiles the others as well (tried by hand); here their graphs are captured, forwards and
    backwards, and run as they are.
    """
    network, images = make(name, sizes=TINY | SHALLOW), images_for(name)
    backend = "inductor" if name in ("cam_wnet", "unet3d") else "aot_eager"
    # not in training mode, where dropout differs
    expected = network(images)
    expected.square().mean().backward()
    gradients = {n: p.grad.clone() for n, p in network.named_parameters()}
    network.zero_grad()
    logits = torch.compile(network, backend=backend)(images)
    torch.testing.assert_close(logits, expected, atol=1e-4, rtol=1e-4)
    logits.square().mean().backward()
    for n, p in network.named_parameters():
        torch.testing.assert_close(p.grad, gradients[n], atol=1e-4, rtol=1e-3, msg=n)
