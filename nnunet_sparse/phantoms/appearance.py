"""What the scanner adds to the anatomy: blur, bias field, noise, arbitrary units."""

import numpy as np

from nnunet_sparse.phantoms.shapes import smooth_field


def texture(rng: np.random.Generator, shape: tuple[int, ...], voxels_per_cell: float) -> np.ndarray:
    """Random field of mean 0 and standard deviation 1, with structures of ``voxels_per_cell``."""
    return smooth_field(rng, shape, tuple(n / voxels_per_cell for n in shape))


def blur(image: np.ndarray, sigma: tuple[float, float, float]) -> np.ndarray:
    """Gaussian point spread, sigma in voxels."""
    from scipy import ndimage

    blurred: np.ndarray = ndimage.gaussian_filter(image, sigma, truncate=3)
    return blurred


def correlated_noise(
    rng: np.random.Generator, shape: tuple[int, ...], sigma: float, grain: float
) -> np.ndarray:
    """Noise of deviation ``sigma``, correlated in plane over ``grain`` voxels, as in CT."""
    from scipy import ndimage

    noise = rng.standard_normal(shape, dtype=np.float32)
    if grain > 0:
        noise = ndimage.gaussian_filter(noise, (0, grain, grain), truncate=3)
        noise /= max(float(noise.std()), 1e-6)
    return sigma * noise


def rician_noise(rng: np.random.Generator, image: np.ndarray, sigma: float) -> np.ndarray:
    """Magnitude of the image with complex Gaussian noise, as in MR."""
    real, imaginary = sigma * rng.standard_normal((2, *image.shape), dtype=np.float32)
    magnitude: np.ndarray = np.hypot(image + real, imaginary)
    return magnitude


def bias_field(
    rng: np.random.Generator, shape: tuple[int, int, int], strength: float
) -> np.ndarray:
    """Multiplicative field exp(f), f smooth over the whole volume with deviation ``strength``."""
    field: np.ndarray = np.exp(strength * smooth_field(rng, shape, (1.5, 2, 2)))
    return field


def to_scanner_units(rng: np.random.Generator, image: np.ndarray) -> np.ndarray:
    """Scale an MR image, fat or white matter being about 1, by a random gain; int16."""
    scaled = np.rint(image * rng.uniform(300, 1200))
    return np.clip(scaled, 0, np.iinfo(np.int16).max).astype(np.int16)
