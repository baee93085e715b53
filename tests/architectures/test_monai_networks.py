"""SegResNet, UNETR and Attention U-Net: what is ours around MONAI's networks."""

import pytest
import torch
from torch import nn

from nnunet_sparse.architectures import attention_unet3d, segresnet, unetr

TINY_UNETR = {"feature_size": 2, "hidden_size": 12, "mlp_dim": 16, "num_heads": 2}


def test_unetr_takes_one_size():
    network = unetr.build(1, 2, (16, 20, 16), **TINY_UNETR)
    # as many embeddings as patches after padding
    assert network.network.vit.patch_embedding.position_embeddings.shape == (1, 2, 12)
    # as large after padding, but in other places
    with pytest.raises(ValueError, match=r"patches of \[16, 20, 16\] voxels, got \[16, 24, 16\]"):
        network(torch.zeros(1, 1, 16, 24, 16))


def test_unetr_takes_features_after_blocks_4_7_10_and_12():
    network = unetr.build(1, 2, (16, 16, 32), **TINY_UNETR).eval()
    outputs, seen = [], []
    for block in network.network.vit.blocks:
        block.register_forward_hook(lambda _, __, output: outputs.append(output))
    for name in ("encoder2", "encoder3", "encoder4"):
        getattr(network.network, name).register_forward_hook(lambda _, x, __: seen.extend(x))
    with torch.inference_mode():
        network(torch.randn(1, 1, 16, 16, 32))
    assert len(outputs) == 12
    for features, block in zip(seen, (4, 7, 10), strict=True):
        assert torch.equal(features.flatten(2).transpose(1, 2), outputs[block - 1])


def test_segresnet_has_dropout_on_request():
    def dropouts(**options):
        network = segresnet.build(1, 2, (8, 8, 8), init_filters=8, **options)
        return [m.p for m in network.modules() if isinstance(m, nn.Dropout3d)]

    assert dropouts() == []
    assert dropouts(dropout=0.2) == [0.2]


def test_segresnet_has_one_stage_less_on_the_way_up():
    with pytest.raises(ValueError, match=r"got \[1\] and \[1, 2, 2, 4\]"):
        segresnet.build(1, 2, (8, 8, 8), blocks_up=[1])


def test_attention_gates_weight_every_skip():
    network = attention_unet3d.build(1, 2, (16, 16, 16), channels=(2, 4, 6, 8, 10)).eval()
    shapes = []

    def check(gate, _, skip, weighted):
        (weights,) = gate.calls
        assert weights.shape == (1, 1, *skip["x"].shape[2:])
        assert (weights > 0).all()
        assert (weights < 1).all()
        assert torch.equal(weighted, skip["x"] * weights)
        shapes.append(weighted.shape[1:3])

    gates = [m for name, m in network.named_modules() if name.endswith("attention")]
    for gate in gates:
        gate.calls = []
        gate.psi.register_forward_hook(lambda _, __, out, calls=gate.calls: calls.append(out))
        gate.register_forward_hook(check, with_kwargs=True)
    with torch.inference_mode():
        network(torch.randn(1, 1, 16, 16, 16))
    assert sorted(shapes) == [(2, 16), (4, 8), (6, 4), (8, 2)]


def test_attention_unet_has_levels():
    with pytest.raises(ValueError, match=r"two levels or more, got \[32\]"):
        attention_unet3d.build(1, 2, (16, 16, 16), channels=[32])
