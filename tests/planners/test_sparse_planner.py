import json
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from nnunetv2.experiment_planning.experiment_planners.network_topology import (
    get_pool_and_conv_props,
)

from nnunet_sparse.data.slice_axis import read_slice_axis
from nnunet_sparse.planners.planner_classes import default_plans_name, find_planner
from nnunet_sparse.planners.sparse_planner import SparsePlanner, largest_patch
from nnunet_sparse.system.errors import SparseError


def transpose(folder, suppress=False):
    planner = SimpleNamespace(raw_dataset_folder=str(folder), suppress_transpose=suppress)
    return SparsePlanner.determine_transpose(planner)


@pytest.mark.parametrize(
    ("axis", "forward", "backward"),
    [(0, [0, 1, 2], [0, 1, 2]), (1, [1, 0, 2], [1, 0, 2]), (2, [2, 0, 1], [1, 2, 0])],
)
def test_slice_axis_comes_first(tmp_path, axis, forward, backward):
    (tmp_path / "selection.json").write_text(json.dumps({"axis": axis}))
    assert transpose(tmp_path) == (forward, backward)


def test_dense_data_set_has_no_slice_axis(tmp_path):
    assert read_slice_axis(tmp_path) is None


@pytest.mark.parametrize("content", ["{", "{}", "[]", '{"axis": 3}', '{"axis": "axial"}'])
def test_bad_axis(tmp_path, content):
    (tmp_path / "selection.json").write_text(content)
    with pytest.raises(SparseError, match="must name the slice axis"):
        read_slice_axis(tmp_path)


def plans_for(paths, planner, shape, num_training=100):
    """Plans for equal images of 1 mm voxels, without any image."""
    name = "Dataset001_Tiny"
    declared = {
        "channel_names": {"0": "MR"},
        "labels": {"background": 0, "organ": 1, "ignore": 2},
        "numTraining": num_training,
        "file_ending": ".nii.gz",
        "overwrite_image_reader_writer": "SimpleITKIO",
        "dataset": {"a": {"images": ["a.nii.gz"], "label": "a.nii.gz"}},
    }
    fingerprint = {
        "spacings": [[1.0, 1.0, 1.0]],
        "shapes_after_crop": [shape],
        "foreground_intensity_properties_per_channel": {"0": {}},
        "median_relative_size_after_cropping": 1.0,
    }
    for folder, file, content in (
        (paths.raw, "dataset.json", declared),
        (paths.preprocessed, "dataset_fingerprint.json", fingerprint),
    ):
        (folder / name).mkdir(exist_ok=True)
        (folder / name / file).write_text(json.dumps(content))
    return find_planner(planner)(name).plan_experiment()


OURS = [
    "SparsePlanner",
    "SparseResEncPlanner",
    "SparseResEncPlannerL",
    "SparseResEncPlannerXL",
    "SmallPlanner",
]


@pytest.mark.parametrize("planner", OURS)
def test_patches_fit_into_the_images(paths, planner):
    plans = plans_for(paths, planner, (36, 50, 35))["configurations"]
    wanted = {"2d": ([48, 32], [50, 35]), "3d_fullres": ([32, 48, 32], [36, 50, 35])}
    for configuration, (patch, median) in wanted.items():
        plan = plans[configuration]
        assert list(plan["patch_size"]) == patch
        assert list(plan["median_image_size_in_voxels"]) == median
        strides = np.prod(plan["architecture"]["arch_kwargs"]["strides"], axis=0)
        assert not np.any(np.array(patch) % strides)


def test_patches_that_fit_anyway_are_nnunets(paths):
    stock, ours = (
        plans_for(paths, planner, (128, 128, 112))["configurations"]["3d_fullres"]
        for planner in ("ExperimentPlanner", "SparsePlanner")
    )
    for key in ("patch_size", "batch_size", "architecture"):
        assert ours[key] == stock[key]


@pytest.mark.parametrize(
    ("size", "ours", "gigabytes"),
    [
        ("M", "SparseResEncPlanner", 8),
        ("L", "SparseResEncPlannerL", 24),
        ("XL", "SparseResEncPlannerXL", 40),
    ],
)
def test_residual_encoders_are_nnunets(paths, size, ours, gigabytes):
    # so many cases that no batch covers a twentieth of them
    stock, sparse = (
        plans_for(paths, planner, (192, 192, 192), num_training=1000)
        for planner in (f"nnUNetPlannerResEnc{size}", ours)
    )
    for configuration in ("2d", "3d_fullres"):
        theirs, mine = (plans["configurations"][configuration] for plans in (stock, sparse))
        for key in ("patch_size", "batch_size", "architecture"):
            assert mine[key] == theirs[key]
    assert find_planner(ours)("Dataset001_Tiny").UNet_vram_target_GB == gigabytes
    assert stock["plans_name"] == f"nnUNetResEncUNet{size}Plans"


def test_residual_batches_are_limited_like_plain_ones(paths):
    plain, residual = (
        plans_for(paths, p, (36, 50, 35))["configurations"]["2d"]["batch_size"] for p in OURS[:2]
    )
    assert plain == residual == round(0.05 * 100 * 36 * 50 * 35 / (48 * 32))


@pytest.mark.parametrize("planner", OURS)
def test_names_are_known_without_import(paths, planner):
    plans = plans_for(paths, planner, (8, 8, 8))
    assert plans["plans_name"] == default_plans_name(planner)
    assert plans["experiment_planner_used"] == planner


def padded(spacing, size):
    return [int(side) for side in get_pool_and_conv_props(spacing, size, 4, 999999)[3]]


@pytest.mark.parametrize(
    ("spacing", "limit", "patch"),
    [
        ((1, 1, 1), (36, 50, 35), [32, 48, 32]),  # pooled three times, multiples of 8
        ((1, 1, 1), (36.5, 50, 35.5), [32, 48, 32]),
        ((1, 1), (128, 96), [128, 96]),  # divides already
        ((1, 1), (255, 256), [224, 256]),  # 225 to 255 are pooled six times and become 256
        ((1, 1), (31, 31), [28, 28]),  # 29 to 31 become 32
        ((5, 1, 1), (7, 64, 64), [7, 64, 64]),  # fewer than 8 voxels are not pooled
        ((1, 1), (1, 7), [1, 7]),
    ],
)
def test_largest_patch(spacing, limit, patch):
    assert largest_patch(spacing, limit, limit) == patch


def test_a_wanted_size_below_the_image():
    # 60 becomes 64 as with nnU-Net, since that fits
    assert largest_patch((1, 1), (60, 300), (300, 300)) == [64, 288]


sides = st.floats(1, 600)


@given(st.lists(st.tuples(st.floats(0.3, 8), sides, sides), min_size=2, max_size=3))
def test_fits_and_is_left_as_it_is(axes):
    spacing, size, limit = zip(*axes, strict=True)
    patch = largest_patch(spacing, size, limit)
    assert all(1 <= p <= m for p, m in zip(patch, limit, strict=True))
    assert padded(spacing, patch) == patch


@given(sides)
def test_no_larger_one_fits(side):
    patch = largest_patch((1, 1), (side, side), (side, side))[0]
    larger = range(patch + 1, int(side) + 1)
    assert all(padded((1, 1), [n, n])[0] > side for n in larger)
