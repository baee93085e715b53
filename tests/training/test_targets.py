import numpy as np
import pytest
import torch
from batchgeneratorsv2.transforms.utils.deep_supervision_downsampling import (
    DownsampleSegForDSTransform,
)
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from nnunet_sparse.training.targets import downsample_annotated

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


def test_the_middle_voxel_decides_a_tie():
    assert coarse([[2, 1], [1, 2]], 0.5, 0.5) == [[2]]
    assert coarse([[1, 2], [2, 1]], 0.5, 0.5) == [[1]]
    # not annotated there
    assert coarse([[2, 1], [3, 3]], 0.5, 0.5) == [[1]]


def test_ties_of_single_planes_favour_no_label():
    label = torch.full((1, 2, 64, 64), IGNORE)
    label[:, 0] = torch.from_numpy(np.random.default_rng(0).permutation(4096).reshape(64, 64) % 2)
    (target,) = downsample_annotated(label, [[0.5, 0.5, 0.5]], IGNORE)
    assert float(target.float().mean()) == pytest.approx(0.5, abs=0.05)


def test_axes_scale_on_their_own():
    assert coarse([[1, 2], [3, 2]], 1, 0.5) == [[2], [2]]


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
            counts = np.bincount(annotated, minlength=IGNORE + 1)
            found = int(target[0][index])
            assert counts[found] == counts.max() > 0 or (found == IGNORE and not len(annotated))


def test_one_coarse_voxel_above_more_voxels_than_int16_counts():
    label = torch.ones(1, 32, 32, 64, dtype=torch.int16)
    label[:, :8] = 2
    (target,) = downsample_annotated(label, [[1 / 32, 1 / 32, 1 / 64]], IGNORE)
    assert target.tolist() == [[[[1]]]]


@settings(max_examples=30)
@given(arrays(np.int16, (2, 4, 4), elements=st.sampled_from([0, 7, 299, 300])))
def test_labels_may_be_large(label):
    (target,) = downsample_annotated(torch.from_numpy(label)[None], [[0.5, 0.25, 0.25]], 300)
    annotated = label[label != 300]
    counts = np.bincount(annotated, minlength=301)
    found = int(target.flatten())
    assert counts[found] == counts.max() > 0 or (found == 300 and not len(annotated))


@pytest.mark.parametrize("shape", [(12, 8), (4, 12, 8)])
def test_many_label_maps_are_those_of_each(shape):
    labels = torch.randint(0, 4, (5, *shape), generator=torch.Generator().manual_seed(0))
    scales = [[1] * len(shape), [0.5] * len(shape), [0.25] * len(shape)]
    together = downsample_annotated(labels, scales, IGNORE)
    each = [downsample_annotated(label[None], scales, IGNORE) for label in labels]
    for level, targets in zip(together, zip(*each, strict=True), strict=True):
        assert torch.equal(level, torch.cat(targets))
