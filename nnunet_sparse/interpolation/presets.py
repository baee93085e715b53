"""Lengths of an interpolator's training."""

from dataclasses import dataclass


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
    """

    num_slices: int
    max_side: int
    num_steps: int
    learning_rate: float
    reconstructed: float
    radius: int


DEFAULT_PRESET = "tiny"
PRESETS = {
    "tiny": InterpolatorPreset(8, 64, 400, 1e-3, 0.5, 6),
    "full": InterpolatorPreset(8, 256, 20_000, 3e-4, 0.5, 6),
}
