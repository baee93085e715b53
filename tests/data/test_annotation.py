from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from nnunetv2.training.dataloading.data_loader import nnUNetDataLoader
from nnunetv2.utilities.label_handling.label_handling import LabelManager

from nnunet_sparse.data.annotation import (
    MAX_LOCATIONS,
    annotated_planes,
    annotation_properties,
    infer_slice_axis,
    is_dense,
    location_keys,
)

LABELS = {"background": 0, "organ": 1, "lesion": 2, "ignore": 3}
REGIONS = {"background": 0, "whole": [1, 2], "core": [2], "edge": 1, "ignore": 3}


def sparse(shape: tuple[int, int, int], axis: int, planes: list[int], seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    label = np.full(shape, 3, np.int16)
    np.moveaxis(label, axis, 0)[planes] = np.moveaxis(rng.integers(-1, 3, shape), axis, 0)[planes]
    return label


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_annotated_planes_and_their_axis(axis: int) -> None:
    label = sparse((6, 7, 8), axis, [1, 4])
    assert annotated_planes(label, axis, 3).tolist() == [1, 4]
    assert infer_slice_axis(label, 3) == axis
    assert not is_dense(label, 3)


def test_a_slice_annotated_in_part_does_not_hide_the_axis() -> None:
    label = sparse((6, 7, 8), 1, [0, 2, 5])
    label[0, 5, :4] = 3
    assert infer_slice_axis(label, 3) == 1


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_a_single_slice_is_not_cut_into_lines(axis: int) -> None:
    label = np.zeros((6, 8), np.int16)
    label[:4] = 3
    assert infer_slice_axis(np.expand_dims(label, axis), 3) == axis


def test_dense_labels_have_no_slice_axis() -> None:
    label = np.zeros((2, 3, 4), np.int16)
    assert is_dense(label, 3)
    assert infer_slice_axis(label, 3) is None
    assert infer_slice_axis(label, None) is None
    assert annotated_planes(label, 2, None).tolist() == [0, 1, 2, 3]


@pytest.mark.parametrize(
    "labels",
    [
        LABELS,
        REGIONS,
        {k: v for k, v in REGIONS.items() if k != "ignore"},
        {"background": 0, "b": [5], "a": 2},
    ],
)
def test_keys_are_those_of_nnunet(labels: dict[str, Any]) -> None:
    manager = LabelManager(labels, [1, 2, 3] if "whole" in labels else None)
    wanted = manager.foreground_regions if manager.has_regions else manager.foreground_labels
    if manager.has_ignore_label:
        wanted = [*wanted, (-1, *manager.all_labels)]
    assert location_keys(labels) == wanted


@given(
    shape=st.tuples(*[st.integers(1, 12)] * 3),
    axis=st.integers(0, 2),
    seed=st.integers(0, 9),
    data=st.data(),
)
def test_locations_show_their_class(
    shape: tuple[int, int, int], axis: int, seed: int, data: st.DataObject
) -> None:
    planes = data.draw(st.lists(st.integers(0, shape[axis] - 1), unique=True))
    seg = sparse(shape, axis, planes, seed)
    properties = annotation_properties(seg, REGIONS)
    for key, voxels in properties["class_locations"].items():
        values = key if isinstance(key, tuple) else (key,)
        there = np.isin(seg, values)
        assert len(voxels) == min(there.sum(), MAX_LOCATIONS) == len(np.unique(voxels, axis=0))
        assert there[tuple(voxels[:, 1:].T)].all()
        assert not voxels[:, 0].any()
        shown = np.flatnonzero(there.any(axis=(1, 2)))
        np.testing.assert_array_equal(properties["nnsparse"]["class_planes"][key], shown)
    unannotated = properties["nnsparse"]["unannotated_locations"]
    assert len(unannotated) == min((seg == 3).sum(), MAX_LOCATIONS)
    assert (seg[tuple(unannotated[:, 1:].T)] == 3).all()
    np.testing.assert_array_equal(
        properties["nnsparse"]["annotated_planes"], annotated_planes(seg, 0, 3)
    )


def test_large_labels_give_a_uniform_sample() -> None:
    seg = np.full((100, 40, 40), 3, np.int16)
    seg[::10] = 0
    seg[50, 7, 7] = 1
    locations = annotation_properties(seg, LABELS)["class_locations"]
    assert locations[1].tolist() == [[0, 50, 7, 7]]
    annotated = locations[-1, 0, 1, 2]
    assert len(annotated) == MAX_LOCATIONS
    counts = np.bincount(annotated[:, 1], minlength=100)[::10]
    assert counts.sum() == MAX_LOCATIONS  # on annotated planes only
    assert counts.min() > MAX_LOCATIONS / 10 / 2  # 5 standard deviations below the mean
    assert annotated.dtype == np.int16


class _OneCase:
    """A data set with one case, as nnU-Net's loader wants it."""

    identifiers = ("case",)

    def __init__(self, seg: np.ndarray) -> None:
        self.seg = seg[None]
        self.properties = annotation_properties(seg, LABELS)

    def load_case(self, _: str) -> tuple[np.ndarray, np.ndarray, None, dict[str, Any]]:
        return self.seg.astype(np.float32), self.seg, None, self.properties


@pytest.mark.parametrize("patch", [(300, 24, 200), (160, 300)])
def test_stock_loader_draws_batches(patch: tuple[int, ...]) -> None:
    # patches larger than the volume: the arithmetic leaves the range of small types
    seg = sparse((140, 20, 150), 0, [139])
    loader = nnUNetDataLoader(
        _OneCase(seg), 2, patch, patch, LabelManager(LABELS, None), oversample_foreground_percent=1
    )
    for _ in range(5):
        target = np.asarray(next(loader)["target"])
        assert target.shape == (2, 1, *patch)
        assert np.isin([1, 2], target).any()
