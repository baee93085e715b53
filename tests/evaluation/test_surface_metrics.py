import math
import warnings

import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from nnunet_sparse.evaluation.surface_metrics import SurfaceMetrics, surface_metrics

masks = hnp.arrays(bool, (3, 4, 5))
planes = hnp.arrays(bool, (4, 5))
spacings = st.tuples(*[st.sampled_from([0.7, 1.0, 3.0])] * 3)


def voxels(*indices, shape=(5, 5, 5)):
    mask = np.zeros(shape, dtype=bool)
    for index in indices:
        mask[index] = True
    return mask


def equal(left, right):
    return np.allclose([left.hd95_mm, left.nsd], [right.hd95_mm, right.nsd], equal_nan=True)


@pytest.mark.parametrize(
    ("shifted", "distance"),
    [((2, 2, 2), 5.0), ((1, 3, 2), 2.0), ((1, 2, 3), 1.0), ((1, 3, 3), math.sqrt(5))],
)
def test_distance_uses_the_spacing_of_its_axis(shifted, distance):
    pair = voxels((1, 2, 2)), voxels(shifted)
    assert surface_metrics(*pair, (5, 2, 1)).hd95_mm == pytest.approx(distance)
    assert surface_metrics(*pair, (5, 2, 1), tolerance_mm=distance).nsd == 1
    assert surface_metrics(*pair, (5, 2, 1), tolerance_mm=0.99 * distance).nsd == 0


def test_percentile_and_share_worked_by_hand():
    # reference to prediction: 0, 1, 2 mm, 95th percentile 1.9; prediction to reference: 0 mm
    reference, prediction = voxels(np.s_[2, 2, 1:4]), voxels((2, 2, 1))
    assert surface_metrics(reference, prediction, (1, 1, 1)).hd95_mm == pytest.approx(1.9)
    assert surface_metrics(reference, prediction, (1, 1, 1), tolerance_mm=1).nsd == 3 / 4


def test_inner_voxels_are_no_surface():
    cube = voxels(np.s_[1:4, 1:4, 1:4])
    hollow = cube & ~voxels((2, 2, 2))
    assert surface_metrics(cube, hollow, (1, 1, 1)) == SurfaceMetrics(0.0, 1.0)


def test_image_edge_is_a_surface():
    # 26 surface voxels around the centre: 6 at 1, 12 at sqrt 2, 8 at sqrt 3
    full, centre = np.ones((3, 3, 3), dtype=bool), voxels((1, 1, 1), shape=(3, 3, 3))
    metrics = surface_metrics(full, centre, (1, 1, 1), tolerance_mm=1)
    assert metrics.hd95_mm == pytest.approx(math.sqrt(3))
    assert metrics.nsd == pytest.approx((6 + 1) / 27)


@pytest.mark.parametrize("swap", [False, True])
def test_one_empty_mask_gets_the_diagonal(swap):
    pair = [voxels((1, 1, 1), shape=(3, 2, 12)), np.zeros((3, 2, 12), dtype=bool)]
    assert surface_metrics(*pair[:: -1 if swap else 1], (1, 2, 1)) == SurfaceMetrics(13.0, 0.0)


def test_two_empty_masks_are_undefined():
    empty = np.zeros((3, 3, 3), dtype=bool)
    metrics = surface_metrics(empty, empty, (1, 1, 1))
    assert math.isnan(metrics.hd95_mm)
    assert math.isnan(metrics.nsd)


def test_mask_that_is_ignored_as_a_whole_counts_as_empty():
    mask = voxels((2, 2, 2))
    metrics = surface_metrics(mask, mask, (1, 1, 1), ignore=mask)
    assert math.isnan(metrics.hd95_mm)


def test_mask_enclosed_by_ignored_voxels_has_no_surface():
    middle = voxels((2, 2, 2))
    near = voxels(np.s_[1:4, 1:4, 1:4]) & ~middle
    metrics = surface_metrics(middle, middle, (1, 1, 1), ignore=near)
    assert math.isnan(metrics.nsd)
    outside = middle | voxels((0, 0, 0))
    assert surface_metrics(middle, outside, (3, 4, 12), ignore=near) == SurfaceMetrics(65.0, 0.0)


def test_spacing_rounded_to_float32_does_not_miss_the_tolerance():
    spacing = float(np.float32(0.7))
    pair = voxels((1, 1, 1)), voxels((1, 1, 4))
    assert surface_metrics(*pair, (1, 1, spacing), tolerance_mm=2.1).nsd == 1


@settings(max_examples=40)
@given(masks, masks, spacings)
def test_agrees_with_monai(reference, prediction, spacing):
    from monai.metrics import compute_hausdorff_distance, compute_surface_dice

    assume(reference.any() and prediction.any())
    pair = [torch.from_numpy(mask[None, None]) for mask in (prediction, reference)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        hd95 = compute_hausdorff_distance(*pair, True, percentile=95, spacing=list(spacing))
        nsd = compute_surface_dice(*pair, [1.5], True, spacing=list(spacing))
    ours = surface_metrics(reference, prediction, spacing, tolerance_mm=1.5)
    assert ours.hd95_mm == pytest.approx(hd95.item(), rel=1e-5)
    assert ours.nsd == pytest.approx(nsd.item(), rel=1e-5)


@settings(max_examples=40)
@given(masks, masks, spacings, masks)
def test_distances_beside_ignored_voxels_agree_with_monai(reference, prediction, spacing, ignore):
    from monai.metrics.utils import get_edge_surface_distance

    assume((reference & ~ignore).any() and (prediction & ~ignore).any())
    filled = [torch.from_numpy(mask | ignore) for mask in (prediction, reference)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        _, distances, _ = get_edge_surface_distance(
            *filled, spacing=list(spacing), symmetric=True, mask=torch.from_numpy(~ignore)
        )
    assume(all(len(d) and np.isfinite(d).all() for d in distances))
    ours = surface_metrics(reference, prediction, spacing, tolerance_mm=1.5, ignore=ignore)
    assert ours.hd95_mm == max(np.quantile(d.double().numpy(), 0.95) for d in distances)
    near = sum(int((d <= 1.5).sum()) for d in distances)
    assert ours.nsd == near / sum(len(d) for d in distances)


@given(masks, masks, spacings, masks)
def test_symmetric(reference, prediction, spacing, ignore):
    there = surface_metrics(reference, prediction, spacing, ignore=ignore)
    assert equal(there, surface_metrics(prediction, reference, spacing, ignore=ignore))


@given(masks, masks, masks, masks, masks)
def test_ignored_voxels_never_change_a_distance(reference, prediction, ignore, other, another):
    changed = np.where(ignore, other, reference), np.where(ignore, another, prediction)
    spacing = (3, 1, 0.7)
    expected = surface_metrics(reference, prediction, spacing, ignore=ignore)
    assert equal(surface_metrics(*changed, spacing, ignore=ignore), expected)


@given(planes, planes)
def test_slice_annotated_alone_is_compared_in_its_plane(reference, prediction):
    assume(reference.any() and prediction.any())
    ignore = np.ones((3, 4, 5), dtype=bool)
    ignore[1] = False
    stacked = [np.stack([~mask, mask, mask]) for mask in (reference, prediction)]
    in_plane = surface_metrics(reference, prediction, (2, 1))
    assert equal(surface_metrics(*stacked, (5, 2, 1), ignore=ignore), in_plane)
    single = [mask[None] for mask in (reference, prediction)]
    assert equal(surface_metrics(*single, (5, 2, 1)), in_plane)
