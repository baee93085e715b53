import json
import sys

import pytest
import torch

from nnunet_sparse.architectures import build_network
from nnunet_sparse.system.errors import SparseError

transformers = pytest.importorskip("transformers")

SIZES = {
    "depths": [1, 2, 1, 1],
    "hidden_sizes": [4, 8, 12, 16],
    "num_attention_heads": [1, 2, 3, 4],
}
IMAGES = torch.randn(2, 1, 37, 50, generator=torch.Generator().manual_seed(0))


@pytest.fixture
def network():
    torch.manual_seed(0)
    return build_network("segformer", 1, 2, (64, 64), SIZES | {"decoder_hidden_size": 8}).eval()


@pytest.fixture
def checkpoint(tmp_path):
    """A classifier, as ``nvidia/mit-b3`` is, with weights of the order of trained ones."""
    torch.manual_seed(1)
    config = transformers.SegformerConfig(**SIZES, num_labels=7)
    model = transformers.SegformerForImageClassification(config)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    model.save_pretrained(tmp_path)
    return model


def edit_config(folder, **changes):
    file = folder / "config.json"
    file.write_text(json.dumps(json.loads(file.read_text("utf-8")) | changes))


def check_encoder(network, checkpoint):
    ours, theirs = network.network.segformer.state_dict(), checkpoint.segformer.state_dict()
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)


def test_sizes_of_b3():
    with torch.device("meta"):
        config = build_network("segformer", 1, 2, (64, 64), {}).network.config
    assert list(config.depths) == [3, 4, 18, 3]
    assert list(config.hidden_sizes) == [64, 128, 320, 512]
    assert (config.decoder_hidden_size, config.num_labels) == (768, 2)
    assert (config.drop_path_rate, config.classifier_dropout_prob) == (0.1, 0.1)


def test_pretrained_weights_are_those_of_the_encoder(network, checkpoint, tmp_path):
    head = {k: v.clone() for k, v in network.network.decode_head.state_dict().items()}
    with torch.inference_mode():
        before = network(IMAGES)
        network.load_pretrained(tmp_path)
        after = network(IMAGES)
    check_encoder(network, checkpoint)
    assert all(torch.equal(v, head[k]) for k, v in network.network.decode_head.state_dict().items())
    assert not torch.allclose(before, after, atol=1e-4)
    assert all(p.requires_grad and p.dtype == torch.float32 for p in network.parameters())


def test_the_hub_has_older_names_in_a_pickle(network, checkpoint, tmp_path):
    names = {
        r"encoder.patch_embeddings.0.proj.weight": "stages.0.patch_embeddings.proj.weight",
        r"encoder.block.1.1.attention.self.sr.weight": (
            "stages.1.blocks.1.attention.sequence_reduction.sequence_reduction.weight"
        ),
        r"encoder.block.3.0.attention.self.key.bias": "stages.3.blocks.0.attention.k_proj.bias",
    }
    from safetensors.torch import load_file

    content = load_file(tmp_path / "model.safetensors")
    theirs = checkpoint.segformer.state_dict()
    for old, new in names.items():
        assert torch.equal(content[f"segformer.{old}"], theirs[new])
    torch.save(content, tmp_path / "pytorch_model.bin")
    (tmp_path / "model.safetensors").unlink()
    network.load_pretrained(tmp_path)
    check_encoder(network, checkpoint)


@pytest.mark.usefixtures("checkpoint")
@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"depths": [1, 1, 1, 1]}, r"has depths \[1, 1, 1, 1\], the network \[1, 2, 1, 1\]"),
        ({"hidden_sizes": [4, 8, 12, 32]}, "has hidden_sizes"),
        ({"num_attention_heads": [1, 2, 3, 8]}, "has num_attention_heads"),
        ({"num_channels": 4}, "has num_channels 4, the network 3"),
        ({"model_type": "vit"}, "is a 'vit', not a 'segformer'"),
    ],
)
def test_other_sizes(network, tmp_path, changes, message):
    edit_config(tmp_path, **changes)
    with pytest.raises(SparseError, match=message) as error:
        network.load_pretrained(tmp_path)
    assert str(tmp_path) in str(error.value)


@pytest.mark.usefixtures("checkpoint")
def test_missing_and_misshapen_weights(network, tmp_path):
    from safetensors.torch import load_file, save_file

    file = tmp_path / "model.safetensors"
    content = load_file(file)
    name = next(n for n in content if n.endswith("proj.weight"))
    weight = content.pop(name)
    save_file(content, file, metadata={"format": "pt"})
    before = {k: v.clone() for k, v in network.state_dict().items()}
    with pytest.raises(SparseError, match=rf"{tmp_path} lacks 1 weights of .* 'stages.0.patch"):
        network.load_pretrained(tmp_path)
    save_file(content | {name: weight[:1].clone()}, file, metadata={"format": "pt"})
    with pytest.raises(SparseError, match=rf"{tmp_path} cannot be loaded"):
        network.load_pretrained(tmp_path)
    file.unlink()
    with pytest.raises(SparseError, match=rf"{tmp_path} cannot be loaded") as error:
        network.load_pretrained(tmp_path)
    assert "\n" not in str(error.value)
    assert all(torch.equal(v, before[k]) for k, v in network.state_dict().items())


def test_no_checkpoint(network, tmp_path):
    with pytest.raises(
        SparseError, match=r"must hold a SegFormer checkpoint .*config.json cannot be"
    ):
        network.load_pretrained(tmp_path / "nowhere")


def test_stages():
    with pytest.raises(SparseError, match="depths must have a number for each of 4 stages"):
        build_network("segformer", 1, 2, (64, 64), {"depths": [1, 2]})


def test_transformers_is_an_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(SparseError, match=r'pip install "nnunet-sparse\[segformer\]"$'):
        build_network("segformer", 1, 2, (64, 64), SIZES)
