"""How volumes of a phantom differ beyond its anatomy: as patients, positions and scanners do.

Everything is drawn from a generator of its own, and grows with one number, the *strength*: 0 leaves
a volume as it is, and at 1 these are the limits (twice the standard deviation, where draws are cut
off):

===============  ===================================================================================
field of view    a quarter more or less anatomy in all directions, and another tenth in z
position         a tenth of the field of view off its centre in plane, a fifth in z
shape            a seventh longer or shorter along each axis, turned by 10 degrees about each;
                 smooth deformations twice as large as without
contrast, MR     a contrast curve with an exponent from 0.6 to 1.7
contrast, CT     tissue and bone 40 % more or less above fat, as by the tube's voltage
sharpness        blurred by up to 0.8 voxels in plane
===============  ===================================================================================
"""

from dataclasses import dataclass

import numpy as np

from nnunet_sparse.phantoms.appearance import blur
from nnunet_sparse.phantoms.shapes import VoxelGrid

MAX_STRENGTH = 2.0

_CUT_OFF = 2.0  # in standard deviations
# standard deviations at strength 1; of scales and exponents those of the logarithm
_FIELD, _FIELD_Z = 0.11, 0.05
_SHIFT = (0.10, 0.05, 0.05)
_LENGTH = 0.07
_TURN_DEG = (5.0, 5.0, 5.0)
_DEFORMATION = 1.0
_EXPONENT = 0.25
_CT_SCALE = 0.18
_BLUR = 0.4
_FAT_HU = -100.0
_WHITE_PERCENTILE = 99.5


@dataclass(frozen=True)
class Variation:
    """What tells one volume from others.

    Attributes
    ----------
    matrix, shift
        From the field of view to the anatomy, see :class:`nnunet_sparse.phantoms.shapes.VoxelGrid`.
    deformation
        Factor of smooth deformations.
    exponent
        Of the contrast curve of MR.
    ct_scale
        Factor of the difference from fat in CT.
    blur
        In plane, in voxels.
    """

    matrix: np.ndarray
    shift: tuple[float, float, float]
    deformation: float
    exponent: float
    ct_scale: float
    blur: float

    def grid(
        self, shape: tuple[int, int, int], spacing_mm: tuple[float, float, float]
    ) -> VoxelGrid:
        """Voxel grid that lies as the volume does."""
        rows = tuple(tuple(float(x) for x in row) for row in self.matrix)
        return VoxelGrid(shape, spacing_mm, rows, self.shift, self.deformation)

    def changed(self, image: np.ndarray, is_ct: bool) -> np.ndarray:
        """Image (z, y, x), int16, with the contrast and sharpness of the volume."""
        values = blur(image.astype(np.float32), (0, self.blur, self.blur))
        if is_ct:
            above = np.maximum(values - _FAT_HU, 0)
            values = np.minimum(values, _FAT_HU) + self.ct_scale * above
            return np.asarray(np.clip(np.rint(values), -1024, 2000), dtype=np.int16)
        white = max(float(np.percentile(values, _WHITE_PERCENTILE)), 1.0)
        values = white * (np.maximum(values, 0) / white) ** self.exponent
        return np.asarray(np.clip(np.rint(values), 0, np.iinfo(np.int16).max), dtype=np.int16)


def draw_variation(rng: np.random.Generator, strength: float) -> Variation:
    """Draw what tells a volume from others; its numbers do not depend on the size of the image."""

    def drawn(*deviations: float) -> np.ndarray:
        cut = np.clip(rng.standard_normal(len(deviations)), -_CUT_OFF, _CUT_OFF)
        return strength * np.array(deviations) * cut

    field = np.exp(drawn(_FIELD)[0] + np.array([drawn(_FIELD_Z)[0], 0, 0]))
    lengths = np.exp(drawn(_LENGTH, _LENGTH, _LENGTH))
    matrix = np.diag(1 / lengths) @ _rotation(np.radians(drawn(*_TURN_DEG))) @ np.diag(field)
    shift = drawn(*_SHIFT)
    exponent, ct_scale = np.exp(drawn(_EXPONENT, _CT_SCALE))
    return Variation(
        matrix,
        (float(shift[0]), float(shift[1]), float(shift[2])),
        1 + strength * _DEFORMATION * float(rng.random()),
        float(exponent),
        float(ct_scale),
        abs(float(drawn(_BLUR)[0])),
    )


def _rotation(angles: np.ndarray) -> np.ndarray:
    """Rotations about z, y and x, one after the other, in coordinates (z, y, x)."""
    turned = np.eye(3)
    for axis, angle in enumerate(angles):
        one, other = (k for k in range(3) if k != axis)
        about = np.eye(3)
        about[one, one] = about[other, other] = np.cos(angle)
        about[one, other], about[other, one] = -np.sin(angle), np.sin(angle)
        turned = turned @ about
    return turned
