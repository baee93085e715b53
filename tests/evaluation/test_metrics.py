import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from nnunet_sparse.evaluation.metrics import (
    Counts,
    count_labels,
    count_voxels,
    label_mask,
    pool,
    summarize,
)

SHAPE = (2, 3, 4)
masks = hnp.arrays(bool, SHAPE)
cases = st.lists(st.tuples(masks, masks), min_size=1, max_size=4)


def test_counts_of_a_hand_drawn_case():
    reference = np.array([[1, 1, 1, 0], [0, 0, 0, 0]], dtype=bool)
    prediction = np.array([[0, 1, 1, 1], [1, 0, 0, 0]], dtype=bool)
    counts = count_voxels(reference, prediction)
    assert counts == Counts(tp=2, fp=2, fn=1)
    assert counts.iou == 2 / 5
    assert counts.dice == 4 / 7
    assert (counts.num_reference, counts.num_prediction) == (3, 4)


def test_ignored_voxels_are_not_counted():
    reference = np.array([1, 1, 0, 0], dtype=bool)
    prediction = np.array([1, 0, 1, 0], dtype=bool)
    ignore = np.array([0, 1, 1, 0], dtype=bool)
    assert count_voxels(reference, prediction, ignore) == Counts(tp=1)


def test_region_is_the_union_of_its_labels():
    segmentation = np.array([0, 1, 2, 3])
    assert label_mask(segmentation, (1, 3)).tolist() == [False, True, False, True]
    assert label_mask(segmentation, 2).tolist() == [False, False, True, False]


def test_two_empty_masks_are_undefined():
    assert math.isnan(Counts().dice)
    assert math.isnan(Counts().iou)


def test_one_empty_mask_scores_zero():
    assert Counts(fn=5).dice == Counts(fp=5).iou == 0


def test_shapes_must_agree():
    with pytest.raises(ValueError, match=r"\(2,\), \(3,\)"):
        count_voxels(np.zeros(2, bool), np.zeros(3, bool))


def test_batched_iou_weighs_cases_by_their_size():
    # per case: 9/10 and 0/2; pooled: 9/12
    assert pool([Counts(tp=9, fn=1), Counts(fp=2)]).iou == 0.75


def test_summary_leaves_undefined_values_out():
    summary = summarize([1.0, math.nan, 3.0])
    assert (summary.mean, summary.num) == (2.0, 2)
    assert summary.std == pytest.approx(math.sqrt(2))  # ddof 1


@pytest.mark.parametrize(("values", "num"), [([], 0), ([math.nan], 0), ([0.5], 1)])
def test_summary_of_too_few_values(values, num):
    summary = summarize(values)
    assert math.isnan(summary.std)
    assert math.isnan(summary.mean) == (num == 0)
    assert summary.num == num


@given(cases)
def test_batched_iou_is_that_of_the_concatenated_volumes(volumes):
    whole = count_voxels(*(np.concatenate(side) for side in zip(*volumes, strict=True)))
    assert pool(count_voxels(*volume) for volume in volumes) == whole


@given(masks, masks)
def test_dice_follows_from_iou(reference, prediction):
    counts = count_voxels(reference, prediction)
    assert counts.dice == pytest.approx(2 * counts.iou / (1 + counts.iou), nan_ok=True)


@given(masks, masks, masks)
def test_swapping_swaps_the_errors_only(reference, prediction, ignore):
    counts = count_voxels(reference, prediction, ignore)
    assert count_voxels(prediction, reference, ignore) == Counts(counts.tp, counts.fn, counts.fp)


@given(masks, masks, masks, masks, masks)
def test_ignored_voxels_never_change_a_count(reference, prediction, ignore, other, another):
    changed = np.where(ignore, other, reference), np.where(ignore, another, prediction)
    assert count_voxels(*changed, ignore) == count_voxels(reference, prediction, ignore)


def test_labels_and_regions_are_counted_by_name():
    truth, found = np.array([0, 1, 1, 2, 2, 2]), np.array([1, 1, 0, 2, 1, 0])
    counts = count_labels(truth, found, {"a": [1], "both": [1, 2], "none": [3]})
    assert counts == {"a": Counts(1, 2, 1), "both": Counts(3, 1, 2), "none": Counts(0, 0, 0)}
