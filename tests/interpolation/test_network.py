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
    warped = network(features[1:], features[:-1], torch.rand(2, 7, 13, 10), torch.ones(2))
    assert warped.shape == (2, 7, 13, 10)


def test_temperature_is_in_units_of_the_scale():
    image, scale = torch.rand(1, 1, 12, 12), torch.full((1,), 0.2)
    network = CorrespondenceNetwork(widths=(4,), features=5, temperature=4.0).eval()
    found = network.encode(image, scale)
    network.temperature = 1.0
    torch.testing.assert_close(network.encode(image, 4 * scale), found)
    assert not torch.allclose(network.encode(image, scale), found)


def test_a_network_is_rebuilt_from_its_config():
    network = CorrespondenceNetwork(
        channels=3, radius=4, widths=(4,), features=6, temperature=0.5, spread=3.0
    )
    again = CorrespondenceNetwork.from_config(network.config)
    again.load_state_dict(network.state_dict())
    assert (again.radius, again.temperature) == (4, 0.5)
    assert again.config == network.config
    torch.testing.assert_close(again.bias(torch.ones(1)), network.bias(torch.ones(1)))
    assert CorrespondenceNetwork(widths=(4,)).bias(torch.ones(1)) is None


def test_large_shifts_are_unexpected_between_near_slices():
    network = CorrespondenceNetwork(radius=2, widths=(4,), spread=1.5)
    near, far = network.bias(torch.tensor([1, 4])).detach()
    assert near[2, 2] == far[2, 2] == 0
    # the logarithm of a normal distribution, 1.5 pixels wide, and twice as wide over four slices
    torch.testing.assert_close(near[0, 3], torch.tensor(-(2**2 + 1**2) / (2 * 1.5**2)))
    torch.testing.assert_close(far, near / 4)
