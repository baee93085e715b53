from typing import ClassVar

import numpy as np
import pytest
import torch

from nnunet_sparse.interpolation.affinity import local_affinity
from nnunet_sparse.interpolation.propagation import propagate, propagate_both_ways
from nnunet_sparse.interpolation.slice_stack import SliceStack
from nnunet_sparse.interpolation.soft_label import SoftLabel
from nnunet_sparse.interpolation.warp import CorrespondenceWarp


class Telling(torch.nn.Module):
    """Features that tell every pixel of the volume's texture from all others."""

    radius = 3
    grey_levels = False
    config: ClassVar = {"features": 1600}

    def __init__(self):
        super().__init__()
        self.parameter = torch.nn.Parameter(torch.zeros(1))
        self.calls = 0

    def expected_shift(self, gap, aspect):
        return gap[:, None] * torch.tensor(aspect)

    def forward(self, target, reference, value, shift, corner):
        assert shift.tolist() == [[1.0, 1.0]]
        return local_affinity(target, reference, value, self.radius, corner)

    def encode(self, slices, _):
        self.calls += 1
        code = slices.flatten().long() - 1
        features = (
            30.0 * torch.nn.functional.one_hot(code.clamp(min=0), 1600) * (code >= 0)[:, None]
        )
        return features.view(1, *slices.shape[2:], 1600).permute(0, 3, 1, 2)


def moving_volume(shifts, size=40):
    """Slices in which all pixels move by these shifts (y, x)."""
    texture = 1.0 + np.arange(size * size, dtype=np.float32).reshape(size, size)
    return np.stack([np.roll(texture, shift, (0, 1)) for shift in shifts])[:, None]


@pytest.mark.parametrize("way", [propagate, propagate_both_ways])
@pytest.mark.parametrize("step", [(0, 0), (3, 0), (-2, 3), (1, -1)])
def test_a_moving_object_is_followed_exactly(way, step):
    shifts = [(i * step[0], i * step[1]) for i in range(4)]
    first = np.zeros((40, 40), np.int16)
    first[15:20, 14:22], first[20:24, 16:18] = 3, 11
    truth = np.stack([np.roll(first, shift, (0, 1)) for shift in shifts])
    for known in ([0], [3], [0, 3], [1]):
        annotated = np.zeros(4, bool)
        annotated[known] = True
        warp = CorrespondenceWarp(Telling(), SliceStack(moving_volume(shifts)))
        found = way(np.where(annotated[:, None, None], truth, 0), annotated, warp)
        np.testing.assert_array_equal(found.label, truth)
        assert (found.confidence > 0.95).all()


def test_what_leaves_the_slice_is_gone():
    shifts = [(0, 3 * i) for i in range(4)]
    label = np.zeros((4, 40, 40), np.int16)
    label[0, 10:14, 34:38] = 1
    warp = CorrespondenceWarp(Telling(), SliceStack(moving_volume(shifts)))
    found = propagate(label, np.array([1, 0, 0, 0], bool), warp)
    assert [(part > 0).sum() for part in found.label] == [16, 12, 0, 0]


def test_only_the_latest_features_are_kept():
    network = Telling()
    warp = CorrespondenceWarp(network, SliceStack(moving_volume([(0, 0)] * 5)), kept_slices=2)
    for i in (0, 1, 0, 1, 2, 1, 0):
        warp.features(i)
    assert network.calls == 4


def test_any_corner():
    warp = CorrespondenceWarp(Telling(), SliceStack(moving_volume([(0, 0)] * 2)))
    for top, left in ((0, 0), (36, 0), (0, 36), (36, 36)):
        label = np.zeros((40, 40), np.uint8)
        label[top : top + 4, left : left + 4] = 2
        arrived, confidence = np.empty((40, 40), np.uint8), np.empty((40, 40))
        warp(SoftLabel.of_slice(label), 0, 1).write(arrived, confidence)
        np.testing.assert_array_equal(arrived, label)
