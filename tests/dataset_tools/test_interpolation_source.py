"""What people have annotated in a campaign, filled by a trained network."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from campaign.annotator import edit
from campaign.made_campaigns import CampaignCopier
from tiny import array, read_json, tree
from trained_models import plans, write_model

from nnunet_sparse.campaign.import_command import main as import_campaign
from nnunet_sparse.dataset_tools.interpolate_command import main
from nnunet_sparse.planners.plan_and_preprocess import main as plan_and_preprocess
from nnunet_sparse.system.paths import NnUNetPaths

IGNORE = 3


@pytest.fixture
def campaign(
    paths: NnUNetPaths,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    copy_campaign: CampaignCopier,
) -> Path:
    """3 of 12 slices of each of three volumes."""
    monkeypatch.chdir(tmp_path)
    assert paths.raw.is_dir()
    return copy_campaign(tmp_path, "abc", annotated=True)


def imported(paths: NnUNetPaths, *options: str) -> Path:
    assert import_campaign(["campaign", "-np", "1", *options]) == 0
    return paths.raw / "Dataset500_campaign"


def model_for(paths: NnUNetPaths, folder: Path) -> Path:
    dataset: dict[str, Any] = read_json(folder / "dataset.json")
    content = plans(dataset=folder.name)
    return write_model(paths.results, content, dataset, sharpness=20)


def run(model: Path, *options: str) -> int:
    return main(
        ["-d", "500", "--method", "network", "--model", str(model), "-device", "cpu", *options]
    )


def planes(folder: Path, case_id: str) -> np.ndarray:
    axis = read_json(folder / "selection.json")["axis"]
    return np.moveaxis(array(folder / f"labelsTr/{case_id}.nii.gz"), axis, 0)


@pytest.mark.usefixtures("campaign")
def test_training_cases_are_filled_and_validation_cases_stay(
    paths: NnUNetPaths, capsys: pytest.CaptureFixture[str]
) -> None:
    source = imported(paths)
    model = model_for(paths, source)
    before = tree(paths.raw)
    assert run(model) == 0
    (folder,) = paths.raw.glob("Dataset501_campaign_mi_network_*")
    assert {k: v for k, v in tree(paths.raw).items() if not k.startswith(folder.name)} == before
    selection = read_json(folder / "selection.json")
    assert selection["cases"] == read_json(source / "selection.json")["cases"]
    (fold, *_) = read_json(folder / "splits_final.json")
    assert fold == read_json(source / "splits_final.json")[0]
    for case_id in fold["train"]:
        known = selection["cases"][case_id]["slices"]
        label, was = planes(folder, case_id), planes(source, case_id)
        np.testing.assert_array_equal(label[known], was[known])
        assert not (label == IGNORE).any()
        assert (was == IGNORE).any()
    for case_id in fold["val"]:
        np.testing.assert_array_equal(planes(folder, case_id), planes(source, case_id))
    capsys.readouterr()
    assert run(model) == 0
    assert "exists:" in capsys.readouterr().out


@pytest.mark.slow
@pytest.mark.usefixtures("campaign")
def test_it_is_planned_and_preprocessed_like_any_other(paths: NnUNetPaths) -> None:
    assert run(model_for(paths, imported(paths))) == 0
    (folder,) = paths.raw.glob("Dataset501_campaign_mi_network_*")
    argv = ["-d", folder.name, "-c", "2d", "-pl", "SmallPlanner", "-np", "1"]
    assert plan_and_preprocess(argv) == 0
    assert list((paths.preprocessed / folder.name).glob("*/a.b2nd"))


def test_what_people_left_open_on_a_slice_stays_open(paths: NnUNetPaths, campaign: Path) -> None:
    """On slices that were not asked for; labels that have changed since are told."""

    def paint(voxels: np.ndarray) -> None:
        free = next(i for i in range(12) if (voxels[..., i] == IGNORE).all())
        voxels[:3, :3, free], voxels[3:5, :3, free] = 0, 1

    for case_id in ("a", "b", "c"):
        edit(campaign / "labels" / f"{case_id}.nii.gz", paint)
    source = imported(paths, "--accept_extra")
    assert run(model_for(paths, source)) == 0
    (folder,) = paths.raw.glob("Dataset501_campaign_mi_network_*")
    selection = json.loads((folder / "selection.json").read_text())
    num_open = 0
    for case_id in read_json(folder / "splits_final.json")[0]["train"]:
        known = selection["cases"][case_id]["slices"]
        label, was = planes(folder, case_id), planes(source, case_id)
        np.testing.assert_array_equal(label[known], was[known])
        num_open += int((label == IGNORE).sum())
    assert num_open


@pytest.mark.usefixtures("campaign")
def test_other_methods_need_a_base(paths: NnUNetPaths, capsys: pytest.CaptureFixture[str]) -> None:
    imported(paths)
    assert main(["-d", "500", "--method", "shape"]) == 2
    assert "imported from the campaign campaign; labels are" in capsys.readouterr().err


@pytest.mark.usefixtures("campaign")
def test_a_cross_validation_is_refused(
    paths: NnUNetPaths, capsys: pytest.CaptureFixture[str]
) -> None:
    source = imported(paths, "--folds", "3")
    assert run(model_for(paths, source)) == 2
    assert "holds a cross-validation" in capsys.readouterr().err
    assert not list(paths.raw.glob("Dataset501*"))
