import numpy as np
import pytest

from nnunet_sparse.phantoms.appearance import (
    bias_field,
    blur,
    correlated_noise,
    rician_noise,
    texture,
    to_scanner_units,
)

SHAPE = (10, 40, 40)


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)


@pytest.mark.parametrize("grain", [0.0, 0.6])
def test_correlated_noise_has_the_deviation_asked_for(rng, grain):
    noise = correlated_noise(rng, SHAPE, 17.0, grain)
    assert noise.std() == pytest.approx(17, rel=0.05)
    assert noise.mean() == pytest.approx(0, abs=1)


def test_grain_correlates_neighbours_in_plane_only(rng):
    noise = correlated_noise(rng, SHAPE, 1.0, 0.6)
    assert (noise[:, 1:] * noise[:, :-1]).mean() > 0.2
    assert (noise[1:] * noise[:-1]).mean() == pytest.approx(0, abs=0.05)


def test_rician_noise_lifts_the_background(rng):
    # the mean of a Rayleigh distribution is sigma * sqrt(pi / 2)
    noisy = rician_noise(rng, np.zeros(SHAPE, dtype=np.float32), 0.1)
    assert noisy.mean() == pytest.approx(0.1 * np.sqrt(np.pi / 2), rel=0.02)


def test_bias_field_is_positive_and_of_the_strength_asked_for(rng):
    field = bias_field(rng, SHAPE, 0.2)
    assert np.log(field).std() == pytest.approx(0.2, rel=0.01)


def test_blur_keeps_the_sum():
    image = np.zeros((5, 9, 9), dtype=np.float32)
    image[2, 4, 4] = 1
    blurred = blur(image, (0.3, 0.5, 0.5))
    assert blurred.sum() == pytest.approx(1, abs=1e-5)
    assert blurred[2, 4, 4] < 1


def test_texture_is_standardised(rng):
    assert texture(rng, SHAPE, 3).std() == pytest.approx(1, abs=1e-3)


def test_scanner_units_fit_int16(rng):
    scaled = to_scanner_units(rng, np.array([0.0, 1.0, 1e6]))
    assert scaled.dtype == np.int16
    assert scaled[0] == 0
    assert 300 <= scaled[1] <= 1200
    assert scaled[2] == 32767
