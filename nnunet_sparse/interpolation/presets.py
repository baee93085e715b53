"""Lengths of an interpolator's training."""

from dataclasses import dataclass
from math import inf

from nnunet_sparse.errors import SparseError


@dataclass(frozen=True)
class InterpolatorPreset:
    """How an interpolator is trained.

    Attributes
    ----------
    num_slices
        Slices drawn from a volume in every step (K), fewer if it has fewer.
    max_side
        Slices are cut to a random window of at most this side, in pixels.
    num_steps
        Steps, each on one volume.
    learning_rate
        Highest learning rate.
    reconstructed
        Probability, at the end of the training, that a reference is replaced by its own
        reconstruction; it grows linearly from 0.
    radius
        Largest shift between two slices in pixels.
    temperature
        Difference between neighbouring pixels that counts as 1 in the softmax of the edge profile,
        as a multiple of the volume's mean absolute difference.
    span
        The slices of a step are drawn from a random stretch of so many; 0 for the whole volume.
    spread
        Standard deviation of the shifts that are expected between neighbouring slices, as a
        multiple of their distance. 0 for no expectation, as published.
    sharpness
        What cosines between features are multiplied by before the softmax. 0 for plain dot
        products, as published.
    """

    num_slices: int
    max_side: int
    num_steps: int
    learning_rate: float
    reconstructed: float
    radius: int
    temperature: float = 1.0
    span: int = 24
    spread: float = 1.5
    sharpness: float = 20.0

    def __post_init__(self) -> None:
        for name, least in (
            ("num_slices", 2),
            ("max_side", 8),
            ("num_steps", 1),
            ("radius", 1),
            ("span", 0),
        ):
            if getattr(self, name) < least:
                raise SparseError(f"{name} must be at least {least}, got {getattr(self, name)}")
        if not 0 < self.learning_rate < 1:
            raise SparseError(f"learning_rate must lie in (0, 1), got {self.learning_rate:g}")
        if not 0 <= self.reconstructed <= 1:
            raise SparseError(f"reconstructed must lie in [0, 1], got {self.reconstructed:g}")
        for name in ("spread", "sharpness"):
            if not 0 <= getattr(self, name) < inf:
                raise SparseError(f"{name} must be 0 or more, got {getattr(self, name):g}")
        if not 0 < self.temperature < inf:
            raise SparseError(f"temperature must be positive, got {self.temperature:g}")


DEFAULT_PRESET = "tiny"
PRESETS = {
    "tiny": InterpolatorPreset(8, 64, 400, 1e-3, 0.5, 6),
    "full": InterpolatorPreset(8, 256, 20_000, 3e-4, 0.5, 6),
}
