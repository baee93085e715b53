"""How interpolators are trained: lengths and settings."""

from dataclasses import asdict, dataclass
from typing import Any

from nnunet_sparse.system.errors import SparseError


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
        as a multiple of the volume's mean absolute difference. 0 as in the published code: grey
        levels, where the intensities of the volume go from 0 to 255, and the darkest neighbours get
        the largest values.
    span
        The slices of a step are drawn from a random stretch of so many; 0 for the whole volume.
    spread
        Standard deviation of the shifts that are expected between neighbouring slices, as a
        multiple of their distance. 0 for no expectation, as published.
    sharpness
        What cosines between features are multiplied by before the softmax. 0 for plain dot
        products, as published.
    outside
        1 as in the published code: in the training, shifts that lead out of the slice take part in
        the softmax with the dot product 0 and the intensity 0. 0: they are left out.
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
    outside: int = 0

    def __post_init__(self) -> None:
        for name, (least, most) in _LIMITS.items():
            if not least <= getattr(self, name) <= most:
                raise SparseError(
                    f"{name} must lie in [{least:g}, {most:g}], got {getattr(self, name):g}"
                )
        for name, smallest in _SMALLEST.items():
            if 0 < getattr(self, name) < smallest:
                raise SparseError(
                    f"{name} must be 0 or at least {smallest:g}, got {getattr(self, name):g}"
                )

    def to_json(self) -> dict[str, Any]:
        """All settings; one that was added later only where it is not the default."""
        values = asdict(self)
        if not self.outside:
            del values["outside"]
        return values


_SMALLEST = {"spread": 0.01, "sharpness": 0.01, "temperature": 1e-6}
_LIMITS = {
    "num_slices": (2, 10_000),
    "max_side": (8, 10_000),
    "num_steps": (1, 10**9),
    "learning_rate": (1e-9, 1),
    "reconstructed": (0, 1),
    "radius": (1, 64),
    "temperature": (0, 1e6),
    "span": (0, 10**6),
    "spread": (0, 1e6),
    "sharpness": (0, 1e4),
    "outside": (0, 1),
}
DEFAULT_INTERPOLATOR_PRESET = "tiny"
PUBLISHED_INTERPOLATOR_PRESET = "published"
INTERPOLATOR_PRESETS = {
    "tiny": InterpolatorPreset(8, 64, 400, 1e-3, 0.5, 6),
    "full": InterpolatorPreset(8, 256, 20_000, 3e-4, 0.5, 6),
    # the learning rate and the side are those of the code of Yeung et al. 2021
    PUBLISHED_INTERPOLATOR_PRESET: InterpolatorPreset(
        *(8, 256, 20_000, 1e-4, 0.5, 6),
        temperature=0.0,
        span=0,
        spread=0.0,
        sharpness=0.0,
        outside=1,
    ),
}
