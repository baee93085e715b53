"""Mask interpolation as published: algorithm 1 with the network of Sli2Vol.

Zhang et al. 2026, appendix F, took over the network and the reconstruction module of the code of
Yeung et al. 2021 (github.com/pakheiyeung/Sli2Vol; "the code" below). The preset ``published`` of
the interpolator switches our own additions off: dot products of features as they are, no
expectation of small shifts, slices of a step from the whole volume, shifts out of the slice within
the softmax, the edge profile in grey levels. Labels are rounded after every slice, since the
reconstruction module takes whole numbers; there is no verification, which Zhang et al. left out.

What still differs, because the papers leave it open:

- Training: the number of slices (K = 8), the length (20000 steps of one volume each), the growth of
  scheduled sampling (linear, to 0.5) and gradients through reconstructions that serve as references
  are not given. The learning rate starts as in the code, 1e-4, and follows half a cosine instead of
  being halved after two of four epochs. Weights start from PyTorch's defaults (the code: normal
  distributions after Glorot). The code also rescales slices, for some of its CT data rotates them
  and varies window and contrast of what the edge profile is taken of, and draws one window of 256 x
  256 pixels where we take the most varied of four.
- Intensities: the code was written for CT. It reconstructs Hounsfield units as they are, and cuts
  them to a window from -300 to 400, 256 grey levels, for the edge profile of its evaluation. The
  papers do not say what is done to other images. Here grey levels go from the percentile 0.5 to
  99.5 of every volume, and what is reconstructed has mean 0 and standard deviation 1, so that the
  smooth L1 loss is quadratic for differences below one deviation.
- Several image channels have an edge profile each; the code adds their differences up.
- Features are in half precision where that is faster, and kept so while labels are moved; shares of
  a label below 0.02 are dropped before the largest one wins.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from nnunet_sparse.interpolation.correspondence import CorrespondenceMethod
from nnunet_sparse.interpolation.dense_label import DenseLabel
from nnunet_sparse.interpolation.interpolator_presets import PUBLISHED_INTERPOLATOR_PRESET
from nnunet_sparse.interpolation.method import FromNetwork, InterpolationMethod
from nnunet_sparse.interpolation.propagation import Warp
from nnunet_sparse.interpolation.soft_label import SoftLabel


@dataclass(frozen=True)
class PublishedMethod(InterpolationMethod):
    """Algorithm 1, with labels that are rounded after every slice."""

    name: ClassVar[str] = "published"
    summary: ClassVar[str] = (
        "as in the paper, algorithm 1 with the network of Sli2Vol (long training, for a GPU)"
    )
    uses_network: ClassVar[bool] = True
    only_preset: ClassVar[str | None] = PUBLISHED_INTERPOLATOR_PRESET

    def fill(
        self,
        label: np.ndarray,
        annotated: np.ndarray,
        spacing_mm: Sequence[float],
        from_network: FromNetwork = None,
        min_confidence: float = 0.0,
    ) -> DenseLabel:
        """Propagate the annotated slices by algorithm 1.

        What has arrived is certain, as it is rounded; where confidence is asked for, it is that of
        both sides, as with ``correspondence``.
        """
        if not callable(from_network):
            raise ValueError(f"{self.name} needs a warp")
        rounded = _rounded(from_network)
        way = CorrespondenceMethod(one_way=True)
        return way.fill(label, annotated, spacing_mm, rounded, min_confidence)


def _rounded(warp: Warp) -> Warp:
    """The warp, every pixel of whose result has one class."""

    def moved(moving: SoftLabel, i: int, j: int) -> SoftLabel:
        return warp(moving, i, j).rounded()

    return moved
