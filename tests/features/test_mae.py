import numpy as np
import pytest
import torch

from nnunet_sparse.features.mae import MaskedAutoencoder, patch_statistics
from nnunet_sparse.features.mae_presets import MaeSize

SIZE = MaeSize(16, 2, 2, 8, 1, 2)


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(0)
    return MaskedAutoencoder(SIZE, channels=2, grid=(4, 6), patch=3).eval()


@pytest.fixture
def images():
    return torch.randn(5, 2, 12, 18, generator=torch.Generator().manual_seed(1))


def noise(seed=0):
    return torch.rand(5, 24, generator=torch.Generator().manual_seed(seed))


def test_patches_by_hand_and_back(network, images):
    patches = network.patchify(images)
    assert patches.shape == (5, 24, 18)
    # second row, third column
    expected = images[1, :, 3:6, 6:9].reshape(-1)
    assert torch.equal(patches[1, 6 + 2], expected)
    assert torch.equal(network.unpatchify(patches), images)


@pytest.mark.parametrize(("masked_share", "hidden"), [(0.75, 18), (0.9, 22), (0.999, 23)])
def test_a_share_is_hidden_at_random(network, masked_share, hidden):
    visible, mask = network.random_masking(noise(), masked_share)
    assert visible.shape == (5, 24 - hidden)
    assert (mask.sum(1) == hidden).all()
    assert (mask.gather(1, visible) == 0).all()
    # where one of 24 patches is visible, two slices may show the same
    different = 5 if hidden < 23 else 4
    assert len({tuple(sorted(row.tolist())) for row in visible}) == different


def test_the_network_cannot_see_hidden_patches(network, images):
    visible, mask = network.random_masking(noise(), 0.75)
    hidden = mask[..., None].bool()
    changed = torch.where(hidden, torch.tensor(99.0), network.patchify(images))
    with torch.inference_mode():
        tokens = network.encode(network.patchify(images), visible)
        torch.testing.assert_close(network.encode(changed, visible), tokens)


def test_predictions_stand_where_the_patches_are(network, images):
    patches = network.patchify(images)
    with torch.inference_mode():
        visible = torch.arange(24).expand(5, -1)
        straight = network.decode(network.encode(patches, visible), visible)
        order = torch.randperm(24, generator=torch.Generator().manual_seed(0)).expand(5, -1)
        shuffled = network.decode(network.encode(patches, order), order)
    torch.testing.assert_close(straight, shuffled, atol=1e-5, rtol=1e-4)


def test_the_loss_is_that_of_hidden_patches(network, images):
    with torch.inference_mode():
        loss, predicted, mask = network(images, noise(), 0.75)
    patches = network.patchify(images).numpy()
    mean, deviation = patches.mean(2, keepdims=True), np.sqrt(patches.var(2, keepdims=True) + 1e-2)
    error = ((predicted.numpy() - (patches - mean) / deviation) ** 2).mean(2)
    assert float(loss) == pytest.approx(error[mask.numpy() == 1].mean(), rel=1e-4)


def test_flat_patches_do_not_become_noise():
    flat = 3 + 1e-3 * torch.randn(1, 4, 9, generator=torch.Generator().manual_seed(0))
    mean, deviation = patch_statistics(flat)
    assert float(((flat - mean) / deviation).abs().max()) < 0.05


def test_features(network, images):
    with torch.inference_mode():
        features = network.features(images)
        assert features.shape == (5, 32)
        torch.testing.assert_close(network.features(images[2:3])[0], features[2])


def test_a_network_is_rebuilt_from_its_config(network, images):
    again = MaskedAutoencoder.from_config(network.config)
    again.load_state_dict(network.state_dict())
    with torch.inference_mode():
        torch.testing.assert_close(again.eval().features(images), network.features(images))


def test_it_learns_what_can_be_predicted():
    torch.manual_seed(0)
    network = MaskedAutoencoder(MaeSize(32, 2, 2, 16, 1, 2), 1, (4, 4), 4)
    optimizer = torch.optim.AdamW(network.parameters(), 3e-3)
    # stripes: every patch tells all others
    phase = torch.rand(64, 1, 1, 1, generator=torch.Generator().manual_seed(0)) * 6.28
    images = torch.sin(torch.arange(16).view(1, 1, 1, 16) * 0.8 + phase).expand(-1, -1, 16, -1)
    losses = []
    for step in range(300):
        loss, _, _ = network(
            images, torch.rand(64, 16, generator=torch.Generator().manual_seed(step)), 0.75
        )
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    assert np.mean(losses[-10:]) < 0.1 * losses[0]
