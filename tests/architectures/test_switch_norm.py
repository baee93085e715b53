import pytest
import torch

from nnunet_sparse.architectures.switch_norm import SwitchNorm2d

# two samples of two channels of 1 x 2 pixels
IMAGES = torch.tensor([[[[0.0, 2]], [[4, 6]]], [[[2, 4]], [[8, 14]]]])
# worked by hand; mean and variance of
# instances: (1, 1) (5, 1) and (3, 1) (11, 9); layers: (3, 5) and (7, 21); batch: (2, 2) (8, 14)
MEAN = torch.tensor([[1.8, 5.0], [4.0, 9.2]])  # 0.5, 0.3 and 0.2 of the above
VARIANCE = torch.tensor([[2.5, 10.9], [5.7, 14.9]])  # 0.1, 0.2 and 0.7


@pytest.fixture
def norm():
    norm = SwitchNorm2d(2, epsilon=0.5)
    with torch.no_grad():
        norm.mean_weight.copy_(torch.tensor([5.0, 3, 2]).log())
        norm.variance_weight.copy_(torch.tensor([1.0, 2, 7]).log())
        norm.weight.copy_(torch.tensor([1.0, 3]))
        norm.bias.copy_(torch.tensor([0.0, -2]))
    return norm


def normalised(mean, variance):
    plain = (IMAGES - mean[..., None, None]) / (variance[..., None, None] + 0.5).sqrt()
    return plain * torch.tensor([1.0, 3]).view(2, 1, 1) + torch.tensor([0.0, -2]).view(2, 1, 1)


def test_training_by_hand(norm):
    torch.testing.assert_close(norm(IMAGES), normalised(MEAN, VARIANCE))
    torch.testing.assert_close(norm.running_mean, torch.tensor([0.2, 0.8]))
    torch.testing.assert_close(norm.running_variance, torch.tensor([1.1, 2.3]))


def test_evaluation_takes_running_statistics(norm):
    norm.running_mean.copy_(torch.tensor([2.0, 8]))
    norm.running_variance.copy_(torch.tensor([2.0, 14]))
    norm.eval()
    torch.testing.assert_close(norm(IMAGES[1:]), normalised(MEAN, VARIANCE)[1:])
    assert norm.running_mean.tolist() == [2, 8]


def test_all_statistics_begin_equal():
    norm = SwitchNorm2d(2)
    assert norm.mean_weight.softmax(0).tolist() == pytest.approx([1 / 3] * 3)
    assert norm.variance_weight.softmax(0).tolist() == pytest.approx([1 / 3] * 3)


def test_statistics_in_single_precision(norm):
    large = (IMAGES + 1000).half()  # squares would overflow
    found = norm.eval()(large)
    assert found.dtype == torch.float16
    torch.testing.assert_close(found.float(), norm(large.float()), atol=1e-1, rtol=1e-3)


def test_flat_images():
    assert torch.isfinite(SwitchNorm2d(1)(torch.full((2, 1, 4, 4), 1e3))).all()
