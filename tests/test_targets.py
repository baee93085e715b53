import numpy as np
import torch
from batchgeneratorsv2.transforms.utils.deep_supervision_downsampling import (
    DownsampleSegForDSTransform,
)
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from nnunet_sparse.targets import downsample_annotated

IGNORE = 3


def coarse(label, *scale):
    tensor = torch.tensor(label, dtype=torch.int16)[None]
    (target,) = downsample_annotated(tensor, [scale], IGNORE)
    assert target.dtype == torch.int16
    return target[0].tolist()


def test_majority_of_the_annotated_voxels():
    label = [[1, 1, 0, 3], [2, 3, 3, 3], [3, 3, 2, 2], [3, 3, 1, 2]]
    assert coarse(label, 0.5, 0.5) == [[1, 0], [IGNORE, 2]]
    assert coarse(label, 0.25, 0.25) == [[2]]


def test_smallest_label_wins_a_tie():
    assert coarse([[2, 1], [1, 2]], 0.5, 0.5) == [[1]]


def test_axes_scale_on_their_own():
    assert coarse([[1, 2], [3, 2]], 1, 0.5) == [[1], [2]]


def test_full_size_is_the_label_itself():
    label = torch.randint(0, 4, (1, 4, 6))
    assert downsample_annotated(label, [[1, 1]], IGNORE)[0] is label


def test_sizes_that_do_not_divide():
    assert coarse([[1, 1, 3, 2, 2]], 1, 0.4) == [[1, 2]]


def test_single_planes_survive_where_nnunet_loses_them():
    label = torch.full((1, 64, 8, 8), IGNORE, dtype=torch.int16)
    label[:, ::20] = 1
    scales = [[1, 1, 1], [0.5] * 3, [0.25] * 3]
    stock = DownsampleSegForDSTransform(scales)(segmentation=label)["segmentation"]
    ours = downsample_annotated(label, scales, IGNORE)
    shown = [[int((target != IGNORE).any((0, 2, 3)).sum()) for target in t] for t in (stock, ours)]
    assert shown == [[4, 0, 0], [4, 4, 4]]


@settings(max_examples=50)
@given(arrays(np.int16, (4, 8, 4), elements=st.integers(0, IGNORE)))
def test_levels_follow_from_the_voxels_below(label):
    scales = [[1, 1, 1], [1, 0.5, 0.5], [0.25, 0.125, 0.25]]
    targets = downsample_annotated(torch.from_numpy(label)[None], scales, IGNORE)
    for target in targets:
        shape = target.shape[1:]
        factors = [fine // small for fine, small in zip(label.shape, shape, strict=True)]
        for index in np.ndindex(*shape):
            corners = zip(index, factors, strict=True)
            block = label[tuple(slice(i * f, i * f + f) for i, f in corners)]
            annotated = block[block != IGNORE]
            counts = np.bincount(annotated, minlength=1)
            expected = counts.argmax() if len(annotated) else IGNORE
            assert target[0][index] == expected
