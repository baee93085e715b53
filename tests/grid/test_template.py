from pathlib import Path

import pytest
from conftest import BaseMaker
from grid_fixtures import write_grid

from nnunet_sparse.grid.cells import bases, configurations
from nnunet_sparse.grid.experiment import PAPER_RHO, PAPER_S, Experiment
from nnunet_sparse.grid.grid_command import main
from nnunet_sparse.grid.jobs import job_graph
from nnunet_sparse.grid.template import PRESETS, template
from nnunet_sparse.system.paths import NnUNetPaths


@pytest.mark.parametrize("preset", PRESETS)
def test_every_preset_can_be_read(tmp_path: Path, make_base: BaseMaker, preset: str) -> None:
    make_base("Dataset004_Hippocampus")
    grid = write_grid(tmp_path, template(preset, ["Dataset004_Hippocampus"]))
    assert len(job_graph(grid)) > 80
    assert grid.experiment.interpolation is not None


def test_the_paper_is_the_default(tmp_path: Path, make_base: BaseMaker) -> None:
    make_base()
    file = tmp_path / "grid.yaml"
    assert main(["init", "-d", "4", "-o", str(file)]) == 0
    experiment = write_grid(tmp_path, file.read_text("utf-8")).experiment
    assert (experiment.rho, experiment.s) == (PAPER_RHO, PAPER_S)
    default = Experiment(tasks=experiment.tasks, configurations=experiment.configurations)
    assert experiment.repeats == default.repeats
    assert experiment.interpolation is not None
    assert experiment.interpolation.rho == PAPER_RHO


def test_the_papers_data_sets_get_its_trainers(tmp_path: Path, make_base: BaseMaker) -> None:
    names = ["Dataset017_LiTS17", "Dataset018_DBC_Breast", "Dataset019_ATLAS_R2.0"]
    for name in names:
        make_base(name)
    grid = write_grid(tmp_path, template("paper", names))
    trainers = [
        [(way.configuration, way.trainer) for way, _ in configurations(grid, base)]
        for base in bases(grid)
    ]
    assert trainers == [
        [("2d", "SparseTrainerInceptionUNet"), ("3d_fullres", "SparseTrainerUNet3D")],
        [("2d", "SparseTrainerSegFormer"), ("3d_fullres", "SparseTrainerSegResNet")],
        [("2d", "SparseTrainerCAMWNet"), ("3d_fullres", "SparseTrainerUNETR")],
    ]


def test_words_that_only_contain_a_papers_name() -> None:
    for name in ("Dataset020_Splits", "Dataset021_MouseAtlas", "Dataset500_ATLASmini"):
        assert "PaperPlanner" not in template("paper", [name])


@pytest.mark.usefixtures("no_paths")
def test_quick_needs_nothing(tmp_path: Path) -> None:
    assert main(["init", "--preset", "quick", "-o", "quick.yaml"]) == 0
    grid = write_grid(tmp_path, (tmp_path / "quick.yaml").read_text("utf-8"), "quick.yaml")
    assert grid.paths == NnUNetPaths.below(tmp_path / "nnunet")


@pytest.mark.usefixtures("no_paths")
def test_what_init_refuses(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "grid.yaml").write_text("mine")
    assert main(["init"]) == 2
    assert "grid.yaml exists; --overwrite replaces it" in capsys.readouterr().err
    assert main(["init", "-o", "no/grid.yaml"]) == 2
    assert "no is not a folder" in capsys.readouterr().err
    assert (tmp_path / "grid.yaml").read_text("utf-8") == "mine"
    assert main(["init", "-o", str(tmp_path), "--overwrite"]) == 2
    assert f"{tmp_path} is a folder; -o names the file" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main(["bogus"])
    said = capsys.readouterr().err
    assert "status" in said
    assert "step" not in said
    assert main(["init", "-d", "4", "-o", "other.yaml"]) == 2
    assert "nnUNet_raw, nnUNet_preprocessed, nnUNet_results not set" in capsys.readouterr().err


def test_a_data_set_is_named_once(
    tmp_path: Path, make_base: BaseMaker, capsys: pytest.CaptureFixture[str]
) -> None:
    make_base("Dataset004_Tiny")
    make_base("Dataset005_Tiny")
    for twice in (["4", "4"], ["004", "Dataset004_Tiny"], ["4", "5"]):
        assert main(["init", "-d", *twice, "-o", str(tmp_path / "grid.yaml")]) == 2
        assert "Dataset004_Tiny and another of -d are the same" in capsys.readouterr().err
    assert not (tmp_path / "grid.yaml").exists()


def test_the_title_says_what_is_in_the_file() -> None:
    assert template("quick", []).startswith("# A phantom and a small network")
    assert "phantom" not in template("quick", ["Dataset004_Tiny"])
    text = template("quick", ["Dataset019_ATLAS"])
    assert text.startswith("# A small network that is trained")
    assert "PaperPlanner" not in text


@pytest.mark.parametrize("preset", PRESETS)
def test_what_is_commented_out_can_be_used(tmp_path: Path, preset: str) -> None:
    lines = template(preset, []).splitlines(keepends=True)
    keys = ("slices_per_volume", "budget", "parameters", "mae", "min_per_volume")
    keys += ("  preset", "  changes") if preset != "quick" else ()
    text = "".join(lines).replace("[volume] ", "[volume, dataset] ")
    for key in keys:
        indent = key[: len(key) - len(key.lstrip())]
        commented = f"\n{indent}# {key.strip()}:"
        assert commented in text
        text = text.replace(commented, f"\n{key}:")
    text = text.replace("[fixed, random]", "[fixed, random, ual]")
    text = text.replace("# nnunet: FOLDER", "nnunet: nnunet")
    experiment = write_grid(tmp_path, text).experiment
    assert (experiment.budget, experiment.slices_per_volume) == ((120,), (3,))
    assert experiment.parameters == {"ual": {"clusters": [5, 10]}}
