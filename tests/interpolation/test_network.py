import torch

from nnunet_sparse.interpolation.network import CorrespondenceNetwork


def test_the_published_size():
    network = CorrespondenceNetwork()
    convolutions = [m for m in network.modules() if isinstance(m, torch.nn.Conv2d)]
    assert all(m.stride == (1, 1) for m in convolutions)
    # stem, head, eight blocks of two, three of them with another width than before
    assert len(convolutions) == 1 + 1 + 16 + 3
    assert convolutions[0].weight.shape == (16, 48, 7, 7)
    assert network.head.weight.shape == (64, 128, 3, 3)


def test_features_have_full_resolution():
    network = CorrespondenceNetwork(channels=2, widths=(4, 8), features=5).eval()
    features = network.encode(torch.rand(3, 2, 13, 10), torch.ones(2))
    assert features.shape == (3, 5, 13, 10)
    warped = network(features[1:], features[:-1], torch.rand(2, 7, 13, 10))
    assert warped.shape == (2, 7, 13, 10)


def test_a_network_is_rebuilt_from_its_config():
    network = CorrespondenceNetwork(channels=3, radius=4, widths=(4,), features=6)
    again = CorrespondenceNetwork.from_config(network.config)
    again.load_state_dict(network.state_dict())
    assert again.radius == 4
    assert again.config == network.config
