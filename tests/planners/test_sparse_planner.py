import json
from types import SimpleNamespace

import numpy as np
import pytest

from nnunet_sparse.data.slice_axis import read_slice_axis
from nnunet_sparse.planners.planner_classes import default_plans_name, find_planner
from nnunet_sparse.planners.sparse_planner import SparsePlanner
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


OURS = ["SparsePlanner", "SparseResEncPlanner", "SmallPlanner"]


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
