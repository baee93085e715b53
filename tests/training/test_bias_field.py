import numpy as np
import pytest
import torch

from nnunet_sparse.training.bias_field import BiasFieldTransform, bias_field, num_coefficients


def test_a_line_by_hand():
    # exp(c0 + c1 x) at x = -1, 0, 1
    field = bias_field((3,), [np.log(2), np.log(3)], 1)
    np.testing.assert_allclose(field, [2 / 3, 2, 6], rtol=1e-6)


def test_order_of_the_coefficients_by_hand():
    # 1, y, x for an array (x, y)
    field = bias_field((2, 3), [0, 1, 10], 1)
    expected = np.exp([[-11, -10, -9], [9, 10, 11]])
    np.testing.assert_allclose(field, expected, rtol=1e-6)


@pytest.mark.parametrize("shape", [(6, 9, 7), (8, 8, 1), (1, 5, 4)])
@pytest.mark.parametrize("order", [0, 1, 3])
def test_equals_torchio(shape, order):
    torchio = pytest.importorskip("torchio")
    rng = np.random.default_rng(sum(shape) + order)
    coefficients = rng.uniform(-0.5, 0.5, num_coefficients(3, order)).tolist()
    image = torch.from_numpy(rng.normal(size=(1, *shape)).astype(np.float32))
    theirs = torchio.BiasField(coefficients, order)(torchio.ScalarImage(tensor=image)).data
    ours = image * bias_field(shape, coefficients, order)
    torch.testing.assert_close(ours, theirs, rtol=2e-6, atol=0)


@pytest.mark.parametrize("shape", [(9, 8, 7), (12, 5)])
def test_equals_the_sum_of_its_monomials(shape):
    axes = np.meshgrid(*(np.linspace(-1, 1, size) for size in shape), indexing="ij")
    exponents = [e for e in np.ndindex(*[4] * len(shape)) if sum(e) <= 3]
    # the largest that are drawn, where rounding is worst
    coefficients = np.random.default_rng(0).choice([-0.5, 0.5], len(exponents))
    terms = [
        c * np.prod([axis**n for axis, n in zip(axes, e, strict=True)], axis=0)
        for c, e in zip(coefficients, exponents, strict=True)
    ]
    np.testing.assert_allclose(bias_field(shape, coefficients, 3), np.exp(sum(terms)), rtol=2e-6)


def test_a_slice_is_a_volume_of_one_slice():
    rng = np.random.default_rng(0)
    exponents = [e for e in np.ndindex(4, 4, 4) if sum(e) <= 3]
    coefficients = rng.uniform(-1, 1, len(exponents))
    flat = [c for c, e in zip(coefficients, exponents, strict=True) if e[2] == 0]
    volume = bias_field((7, 6, 1), coefficients, 3)[..., 0]
    np.testing.assert_allclose(bias_field((7, 6), flat, 3), volume, rtol=1e-6)


def test_a_wrong_number_of_coefficients_is_refused():
    with pytest.raises(ValueError, match="has 10 coefficients, got 3"):
        bias_field((4, 4), [1, 2, 3], 3)


def test_each_channel_has_its_own_smooth_field_and_the_label_stays():
    np.random.seed(0)  # noqa: NPY002
    label = torch.ones(1, 16, 16, dtype=torch.int16)
    out = BiasFieldTransform()(image=torch.ones(2, 16, 16), segmentation=label)
    fields = out["image"]
    assert not torch.allclose(fields[0], fields[1])
    # at most the sum of all ten coefficients
    assert fields.log().abs().max() <= 5
    assert (fields.log().diff(dim=2).abs() < 1).all()
    assert torch.equal(out["segmentation"], label)
