import pytest
import torch

from nnunet_sparse.architectures.cam_wnet import build
from nnunet_sparse.architectures.vgg16 import VGGEncoder
from nnunet_sparse.system.errors import SparseError

TINY = {"vgg_channels": [[4, 4], [6]], "decoder_channels": [4], "channels": [4, 6]}


@pytest.fixture
def network():
    torch.manual_seed(0)
    return build(1, 2, (32, 32), **TINY).eval()


@pytest.fixture
def weights():
    """As in a file of torchvision, with indices that count activations and pooling."""
    generator = torch.Generator().manual_seed(1)
    shapes = {
        "features.0.weight": (4, 3, 3, 3),
        "features.0.bias": (4,),
        "features.2.weight": (4, 4, 3, 3),
        "features.2.bias": (4,),
        "features.5.weight": (6, 4, 3, 3),
        "features.5.bias": (6,),
        "classifier.0.weight": (5, 6),
    }
    return {name: torch.randn(*shape, generator=generator) for name, shape in shapes.items()}


def test_names_and_shapes_of_torchvision():
    from torchvision.models import vgg16

    with torch.device("meta"):
        theirs = vgg16(weights=None).features.state_dict(prefix="features.")
        ours = build(1, 2, (32, 32)).coarse.encoder.state_dict()
    assert {k: v.shape for k, v in ours.items()} == {k: v.shape for k, v in theirs.items()}
    assert sum(name.endswith("weight") for name in ours) == 13


def test_stages_by_hand():
    encoder = VGGEncoder([[2], [5]])
    pictures = torch.randn(1, 3, 6, 8)
    first, second = encoder(pictures)
    torch.testing.assert_close(first, encoder.features[0](pictures).relu())
    pooled = torch.nn.functional.max_pool2d(first, 2)
    torch.testing.assert_close(second, encoder.features[3](pooled).relu())
    assert second.shape == (1, 5, 3, 4)


def test_pretrained_weights(network, weights, tmp_path):
    file = tmp_path / "vgg16.pth"
    torch.save(weights, file)
    images = torch.randn(2, 1, 32, 32)
    with torch.inference_mode():
        before = network(images)
        network.load_pretrained(file)
        assert not torch.allclose(network(images), before, atol=1e-4)
    loaded = network.coarse.encoder.state_dict()
    assert all(torch.equal(value, weights[name]) for name, value in loaded.items())


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"features.2.bias": None}, r"features.2.bias is missing there, \[4\] here"),
        (
            {"features.0.weight": torch.zeros(8, 3, 3, 3)},
            r"is \[8, 3, 3, 3\] there, \[4, 3, 3, 3\]",
        ),
        # with batch normalisation
        ({"features.1.weight": torch.zeros(4)}, r"features.1.weight is \[4\] there, missing here"),
    ],
)
def test_other_weights(network, weights, tmp_path, changes, message):
    content = {k: v for k, v in (weights | changes).items() if v is not None}
    file = tmp_path / "vgg16.pth"
    torch.save(content, file)
    before = {k: v.clone() for k, v in network.state_dict().items()}
    with pytest.raises(SparseError, match=message) as error:
        network.load_pretrained(file)
    assert str(file) in str(error.value)
    assert all(torch.equal(v, before[k]) for k, v in network.state_dict().items())


@pytest.mark.parametrize("content", [None, b"", b"not a checkpoint"])
def test_unreadable_files(network, tmp_path, content):
    file = tmp_path / "vgg16.pth"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(SparseError, match=rf"{file} cannot be read: \S") as error:
        network.load_pretrained(file)
    assert "\n" not in str(error.value)


def test_something_else_in_the_file(network, tmp_path):
    file = tmp_path / "list.pth"
    torch.save([1, 2], file)
    with pytest.raises(SparseError, match="is not the state dict of this VGG16"):
        network.load_pretrained(file)
