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
    warped = network(features[1:], features[:-1], torch.rand(2, 7, 13, 10), torch.ones(2, 2))
    assert warped.shape == (2, 7, 13, 10)


def test_temperature_is_in_units_of_the_scale():
    image, scale = torch.rand(1, 1, 12, 12), torch.full((1,), 0.2)
    network = CorrespondenceNetwork(widths=(4,), features=5, temperature=4.0).eval()
    found = network.encode(image, scale)
    network.temperature = 1.0
    torch.testing.assert_close(network.encode(image, 4 * scale), found)
    assert not torch.allclose(network.encode(image, scale), found)


def test_without_temperature_differences_are_those_of_the_published_code():
    image, level = torch.rand(1, 1, 12, 12), torch.full((1,), 0.2)
    network = CorrespondenceNetwork(widths=(4,), features=5, temperature=0.0).eval()
    assert network.grey_levels
    found = network.encode(image, level)
    network.temperature = 1.0
    assert not network.grey_levels
    torch.testing.assert_close(network.encode(image, -level), found)
    assert not torch.allclose(network.encode(image, level), found)


def test_sharpness_bounds_the_products():
    network = CorrespondenceNetwork(widths=(4,), features=5, sharpness=20.0).eval()
    features = network.encode(100 * torch.rand(1, 1, 12, 12), torch.ones(1)).float()
    torch.testing.assert_close(
        features.square().sum(dim=1), torch.full((1, 12, 12), 20.0), rtol=1e-4, atol=0
    )


def test_a_network_is_rebuilt_from_its_config():
    network = CorrespondenceNetwork(
        channels=3,
        radius=4,
        widths=(4,),
        features=6,
        temperature=0.5,
        spread=3.0,
        sharpness=2.0,
    )
    again = CorrespondenceNetwork.from_config(network.config)
    again.load_state_dict(network.state_dict())
    assert (again.radius, again.temperature) == (4, 0.5)
    assert again.config == network.config
    assert (again.spread, again.sharpness) == (3.0, 2.0)


def test_large_shifts_are_unexpected_between_near_slices():
    network = CorrespondenceNetwork(radius=2, widths=(4,), spread=1.5)
    found = network.expected_shift(torch.tensor([1, 4]), (2.0, 4.0))
    # as many times the distance of slices, and twice as wide over four of them
    assert found.tolist() == [[3.0, 6.0], [6.0, 12.0]]
    plain = torch.zeros(1, 64, 9, 9)
    value = torch.zeros(1, 1, 9, 9)
    value[..., 4, 4] = 1
    shifts = [torch.tensor([pair]) for pair in ((0.8, 0.5), (torch.inf, torch.inf))]
    near, far = (network(plain, plain, value, shift)[0, 0] for shift in shifts)
    for line, sigma in ((near[2:7, 4], 0.8), (near[4, 2:7], 0.5)):
        expected = torch.exp(-(torch.arange(-2.0, 3) ** 2) / (2 * sigma**2))
        torch.testing.assert_close(line / near[4, 4], expected)
    torch.testing.assert_close(far[2:7, 2:7], torch.full((5, 5), 1 / 25))


def test_nothing_is_expected_as_published():
    network = CorrespondenceNetwork(widths=(4,))
    assert network.expected_shift(torch.ones(2), (1.0, 1.0)).tolist() == [[torch.inf] * 2] * 2
