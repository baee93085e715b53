import json
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from nnunet_sparse.planners.paper_planner import (
    PaperPlannerATLAS,
    PaperPlannerDBC,
    PaperPlannerLiTS17,
)
from nnunet_sparse.planners.plan_and_preprocess import main, plan_and_preprocess
from nnunet_sparse.planners.planner_classes import (
    default_plans_name,
    find_planner,
    task_of,
    with_scale,
)
from nnunet_sparse.planners.training_commands import comparison_line, training_lines
from nnunet_sparse.system.errors import SparseError
from nnunet_sparse.training.paper_recipes import trainers_for
from nnunet_sparse.training.paper_tasks import TASKS, PaperSize, fitted, scaled

# sizes of the paper's images (z, y, x)
IMAGES = {"LiTS17": (384, 384, 384), "DBC": (176, 496, 496), "ATLAS": (189, 256, 224)}
PLANNERS = {"LiTS17": PaperPlannerLiTS17, "DBC": PaperPlannerDBC, "ATLAS": PaperPlannerATLAS}


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("dimensions", [2, 3])
def test_images_of_the_paper_get_its_sizes(task, dimensions):
    size = TASKS[task].sizes[dimensions]
    assert tuple(fitted(size.patch_size, IMAGES[task][-dimensions:])) == size.patch_size
    assert all(side % 16 == 0 for side in size.patch_size)


@pytest.mark.parametrize(
    ("patch", "image", "expected"),
    [
        ((384, 384), (50.0, 36.0), [64, 48]),
        ((384, 384), (512.0, 300.0), [384, 304]),
        ((128, 128, 128), (35.0, 50.0, 36.0), [32, 48, 32]),
        ((128, 128, 128), (12.0, 200.0, 128.0), [16, 128, 128]),
    ],
)
def test_smaller_images_get_smaller_patches(patch, image, expected):
    assert fitted(patch, image) == expected


@pytest.mark.parametrize(
    ("scale", "batch", "patch"),
    [
        (1, 54, (64, 96, 96)),
        (0.5, 27, (32, 48, 48)),
        (0.34, 18, (32, 32, 32)),
        (0.01, 2, (32,) * 3),
    ],
)
def test_scale_by_hand(scale, batch, patch):
    assert scaled(TASKS["ATLAS"].sizes[3], scale) == PaperSize(batch, patch)


@given(st.floats(0.001, 1), st.floats(0.001, 1))
def test_a_smaller_scale_is_not_larger(one, other):
    small, large = (scaled(TASKS["DBC"].sizes[2], s) for s in sorted((one, other)))
    assert small.batch_size <= large.batch_size <= 16
    assert all(a <= b <= 496 for a, b in zip(small.patch_size, large.patch_size, strict=True))


@pytest.fixture
def plans_of(tmp_path, monkeypatch):
    """Plans of a task for images of the paper's size; only their fingerprint exists."""

    def plan(task, **options):
        name = "Dataset001_Paper"
        for variable in ("nnUNet_raw", "nnUNet_preprocessed"):
            monkeypatch.setenv(variable, str(tmp_path / variable))
            (tmp_path / variable / name).mkdir(parents=True)
        content = {
            "channel_names": {"0": "CT"},
            "labels": {"background": 0, "organ": 1, "ignore": 2},
            "numTraining": 100,
            "file_ending": ".nii.gz",
            "overwrite_image_reader_writer": "SimpleITKIO",
            "dataset": {"case": {"images": ["case.nii.gz"], "label": "case.nii.gz"}},
        }
        intensities = dict.fromkeys(("mean", "std", "percentile_00_5", "percentile_99_5"), 1.0)
        fingerprint = {
            "spacings": [TASKS[task].spacing],
            "shapes_after_crop": [IMAGES[task]],
            "foreground_intensity_properties_per_channel": {"0": intensities},
            "median_relative_size_after_cropping": 1.0,
        }
        (tmp_path / "nnUNet_raw" / name / "dataset.json").write_text(json.dumps(content))
        file = tmp_path / "nnUNet_preprocessed" / name / "dataset_fingerprint.json"
        file.write_text(json.dumps(fingerprint))
        planner = PLANNERS[task](name, **options)
        planner.save_plans = lambda _: None
        return planner.plan_experiment()

    return plan


@pytest.mark.parametrize("task", TASKS)
def test_plans_for_the_paper(plans_of, task):
    plans = plans_of(task)
    assert set(plans["configurations"]) == {"2d", "3d_fullres"}
    for configuration, dimensions in (("2d", 2), ("3d_fullres", 3)):
        plan, size = plans["configurations"][configuration], TASKS[task].sizes[dimensions]
        assert (plan["batch_size"], tuple(plan["patch_size"])) == (size.batch_size, size.patch_size)
        assert tuple(plan["spacing"]) == TASKS[task].spacing[-dimensions:]
        kwargs = plan["architecture"]["arch_kwargs"]
        # nnU-Net's own network takes the patch without padding
        strides = np.prod(kwargs["strides"], axis=0)
        assert (np.array(plan["patch_size"]) % strides == 0).all()
        counts = {len(kwargs[k]) for k in ("strides", "kernel_sizes", "features_per_stage")}
        assert counts == {kwargs["n_stages"]}
        assert len(kwargs["n_conv_per_stage_decoder"]) == kwargs["n_stages"] - 1


def test_plans_with_a_scale(plans_of):
    plan = plans_of("ATLAS", scale=0.5)["configurations"]["3d_fullres"]
    assert (plan["batch_size"], plan["patch_size"]) == (27, [32, 48, 48])


def test_spacing_goes_with_the_slice_axis(tmp_path):
    planner = PaperPlannerDBC.__new__(PaperPlannerDBC)
    planner.raw_dataset_folder = str(tmp_path)
    assert planner.determine_fullres_target_spacing().tolist() == [1.0, 0.7, 0.7]
    (tmp_path / "selection.json").write_text('{"axis": 2}')
    assert planner.determine_fullres_target_spacing().tolist() == [0.7, 0.7, 1.0]


@pytest.mark.slow
def test_a_data_set_is_planned_and_stock_networks_fit(tiny_paths):
    file = plan_and_preprocess(
        tiny_paths,
        "777",
        planner="PaperPlannerDBC",
        scale=0.5,
        configurations=["2d"],
        num_processes=1,
    )
    assert file.stem == "nnsparsePaperDBCPlans_scale0.5"
    plans = json.loads(file.read_text("utf-8"))
    assert set(plans["configurations"]) == {"2d", "3d_fullres"}
    flat, volume = (plans["configurations"][c] for c in ("2d", "3d_fullres"))
    # 16 x 24 x 24 mm, slices along axis 1
    assert plans["transpose_forward"] == [1, 0, 2]
    assert (flat["spacing"], volume["spacing"]) == ([0.7, 0.7], [1.0, 0.7, 0.7])
    assert (flat["batch_size"], flat["patch_size"]) == (8, [32, 48])
    assert (volume["batch_size"], volume["patch_size"]) == (12, [16, 16, 32])
    from nnunetv2.utilities.get_network_from_plans import get_network_from_plans

    for plan in (flat, volume):
        architecture = plan["architecture"]
        network = get_network_from_plans(
            architecture["network_class_name"],
            architecture["arch_kwargs"],
            architecture["_kw_requires_import"],
            1,
            2,
            deep_supervision=False,
        )
        images = torch.zeros(1, 1, *plan["patch_size"])
        assert network(images).shape[2:] == images.shape[2:]


def test_names_with_a_scale():
    assert with_scale("PaperPlannerDBC", 1) == "PaperPlannerDBC"
    name = with_scale("PaperPlannerDBC", 0.25)
    assert default_plans_name(name) == "nnsparsePaperDBCPlans_scale0.25"
    assert find_planner(name).keywords == {"scale": 0.25}
    assert task_of(name) == "DBC"
    assert task_of("SmallPlanner") is None


@pytest.mark.parametrize(
    ("planner", "scale", "message"),
    [
        ("PaperPlannerDBC", 0, "scale must lie in"),
        ("PaperPlannerDBC", 1.5, "scale must lie in"),
        ("PaperPlannerDBC", float("nan"), "scale must lie in"),
        ("SmallPlanner", 0.5, "--scale is for PaperPlannerLiTS17, .*not for SmallPlanner"),
    ],
)
def test_bad_scales(planner, scale, message):
    with pytest.raises(SparseError, match=message):
        with_scale(planner, scale)


def test_trainers_of_a_planner():
    assert trainers_for(task_of("PaperPlannerATLAS"), "2d") == ["SparseTrainerCAMWNet"]
    assert trainers_for(task_of("PaperPlannerATLAS"), "3d_fullres") == [
        "SparseTrainerUNETR",
        "SparseTrainerAttentionUNet3D",
    ]
    assert trainers_for(task_of("SmallPlanner"), "2d") == []


def test_commands_and_memory_are_told(tmp_path):
    folder = tmp_path / "Dataset001_X"
    folder.mkdir()
    labels = {"background": 0, "x": 1, "ignore": 2}
    dataset_json = {"channel_names": {"0": "CT"}, "labels": labels, "file_ending": ".nii.gz"}
    (folder / "dataset.json").write_text(json.dumps(dataset_json))
    plan = {"patch_size": [64, 64], "batch_size": 4, "nnsparse": {}}
    plans = {"configurations": {"2d": plan}, "plans_name": "p"}

    def lines(trainer):
        return training_lines(trainer, plans, "2d", folder)

    command = "train: nnUNetv2_train Dataset001_X 2d 0 -tr SparseTrainer"
    assert lines("SparseTrainer") == [f"{command} -p p"]
    first, second = lines("SparseTrainerInceptionUNet")
    assert first == f"{command}InceptionUNet -p p"
    assert second.startswith("memory: SparseTrainerInceptionUNet with 4 patches of 64x64: 3.9 M")
    plan["nnsparse"] = {"recipe": {"network": {"channels": [2, 3, 4, 5, 6]}}}
    assert ": 0.0" in lines("SparseTrainerInceptionUNet")[1]
    # an option of another trainer of the same task
    (line,) = lines("SparseTrainerSegFormer")
    assert line.startswith("note: SparseTrainerSegFormer cannot use these plans: ")
    assert "has no option 'channels'" in line
    dataset_json["labels"] = {"background": 0, "x": [1, 2]}
    (folder / "dataset.json").write_text(json.dumps(dataset_json))
    assert "regions" in lines("SparseTrainerInceptionUNet")[0]


def test_roles_are_checked_before_planning(tiny_paths, capsys):
    settings = ["--set", 'recipe.roles={"target": ["tumor"]}']
    assert main(["-d", "777", "-pl", "PaperPlannerATLAS", *settings]) == 2
    assert "there is no label 'tumor' (there are object)" in capsys.readouterr().err
    assert not list(tiny_paths.preprocessed.glob("*/*.json"))


def test_the_command_refuses_a_scale(tiny_paths, capsys):
    assert tiny_paths.raw.is_dir()
    assert main(["-d", "777", "--scale", "0.5"]) == 2
    assert "--scale is for" in capsys.readouterr().err


def test_configurations_are_compared_by_one_repeat():
    plans, folder = {"plans_name": "nnsparsePlans"}, Path("Dataset001_X")
    assert comparison_line("SparseTrainer", plans, ["2d", "3d_fullres"], folder) == (
        "compare: nnUNetv2_find_best_configuration Dataset001_X -f 0 -c 2d 3d_fullres "
        "-tr SparseTrainer -p nnsparsePlans --disable_ensembling"
    )
