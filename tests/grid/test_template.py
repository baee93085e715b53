import shlex
from collections import Counter
from pathlib import Path

import pytest
from conftest import BaseMaker
from grid_fixtures import write_grid
from hostile.hostile_names import STRANGE

from nnunet_sparse.grid.cells import bases, configurations, left_out_variants, variants
from nnunet_sparse.grid.experiment import PAPER_RHO, PAPER_S, Experiment
from nnunet_sparse.grid.grid_command import main
from nnunet_sparse.grid.jobs import TrainJob, job_graph, jobs_of
from nnunet_sparse.grid.overview import overview
from nnunet_sparse.grid.preflight import check_experiment
from nnunet_sparse.grid.template import PRESETS, Scored, template
from nnunet_sparse.grid.yaml_lines import read_yaml
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
    assert (experiment.mae, experiment.interpolation.preset) == (("small",), "full")


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
        [
            ("2d", "SparseTrainerCAMWNet"),
            ("3d_fullres", "SparseTrainerUNETR"),
            ("3d_fullres", "SparseTrainerAttentionUNet3D"),
        ],
    ]
    extra = [
        way.trainer for base in bases(grid) for way, _ in configurations(grid, base) if way.extra
    ]
    assert extra == ["SparseTrainerAttentionUNet3D"]


def test_the_papers_cells(tmp_path: Path, make_base: BaseMaker) -> None:
    make_base("Dataset019_ATLAS")
    grid = write_grid(tmp_path, template("paper", ["Dataset019_ATLAS"]))
    check_experiment(grid)
    (base,) = bases(grid)
    jobs = jobs_of(job_graph(grid), TrainJob)
    for way, _ in configurations(grid, base):
        of_way = [job.subject.of for job in jobs if job.subject.configuration == way]
        kinds = Counter(cell.kind for cell in of_way)
        # 5 densities x 4 fractions x 3 selectors x 3 repeats
        assert (kinds["dense"], kinds["sparse"]) == (3, 180)
        # the paper has no numbers of interpolation at 0.8
        rhos = Counter(cell.variant.rho for cell in of_way if cell.kind == "interpolated")
        assert set(rhos) == {0.05, 0.1, 0.2, 0.4}
        assert len(set(rhos.values())) == 1
        left_out = left_out_variants(grid.experiment, base, way)
        assert {(c.kind, c.variant.rho) for c in left_out if c.kind != "partner"} == {
            ("interpolated", 0.8)
        }
    assert {job.subject.of.variant.mae for job in jobs if job.subject.of.variant.uses_features} == {
        "small"
    }
    weights = {c.variant.positive_weight for c in variants(grid.experiment, base)}
    assert weights == {1, 3}


def test_the_file_says_on_what_networks_are_compared(tmp_path: Path, make_base: BaseMaker) -> None:
    labels = {"background": 0, "liver": 1, "tumour": 2}
    roles = {"nnsparse": {"roles": {"context": ["liver"]}}}
    make_base("Dataset004_LiTS17", labels=labels, extra=roles)
    make_base("Dataset005_Other", labels=labels)
    make_base("Dataset006_ATLAS", labels={"background": 0, "lesion": 1})
    file = tmp_path / "grid.yaml"
    assert main(["init", "-d", "4", "5", "6", "-o", str(file)]) == 0
    text = file.read_text("utf-8")
    assert [line.strip() for line in text.splitlines() if "scored on " in line][::2] == [
        "# scored on its target, tumour, by the roles in its dataset.json",
        "# scored on the mean of liver, tumour; its dataset.json declares no roles",
        "# scored on lesion, its only label",
    ]
    grid = write_grid(tmp_path, text)
    said = overview(grid)
    assert "scored on tumour: the target, by the roles in dataset.json" in said
    assert "scored on the mean of liver, tumour\n" in said
    # what is commented out beside it
    grid = write_grid(tmp_path, text.replace("# labels: [tumour]", "labels: [all]", 1))
    assert "scored on the mean of liver, tumour\n" in overview(grid).partition("Other")[0]
    # the paper's data sets without roles
    assert "one label)" in template("paper", ["LiTS17"], {"LiTS17": Scored(("a", "b"), ())})


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
    keys += ("exclude", "collapsed")
    keys += ("  preset", "  changes") if preset != "quick" else ()
    # what the paper's preset has in use
    keys = tuple(key for key in keys if preset != "paper" or key not in ("mae", "  preset"))
    text = "".join(lines).replace("[volume] ", "[volume, dataset] ")
    for key in keys:
        indent = key[: len(key) - len(key.lstrip())]
        commented = f"\n{indent}# {key.strip()}:"
        assert commented in text
        text = text.replace(commented, f"\n{key}:")
    text = text.replace("[fixed, random]", "[fixed, random, ual]")
    text = text.replace("# nnunet: FOLDER", "nnunet: nnunet")
    experiment = write_grid(tmp_path, text).experiment
    assert (experiment.budget, experiment.slices_per_volume) == ((120,), (1, 2))
    assert experiment.parameters == {"ual": {"clusters": [5, 10]}}
    assert (experiment.collapsed, len(experiment.exclude)) == ("include", 1)


def test_one_or_two_slices_per_volume(tmp_path: Path, make_base: BaseMaker) -> None:
    make_base(num_test=2)
    text = template("paper", ["Dataset004_Tiny"]).replace("\nrho:", "\n# rho:")
    text = text.replace("# slices_per_volume:", "slices_per_volume:")
    text = text.replace("    # val: 0.1", "    val: 2").replace("  rho: [0.05", "  # rho: [0.05")
    grid = write_grid(tmp_path, text)
    check_experiment(grid)
    lines = overview(grid).splitlines()
    first = next(k for k, line in enumerate(lines) if "s \\ rho" in line)
    # one or two slices of floor(8 s + 0.5) of the 8 training volumes
    assert [line.split() for line in lines[first : first + 5]] == [
        ["s", "\\", "rho", "1", "each", "2", "each"],
        ["0.125", "1", "2"],
        ["0.250", "2", "4"],
        ["0.500", "4", "8"],
        ["1.000", "8", "16"],
    ]


@pytest.mark.parametrize("name", STRANGE.values(), ids=STRANGE)
def test_init_writes_names_as_they_are(
    make_base: BaseMaker, tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    folder, file = f"Dataset004_{name}", tmp_path / "grid.yaml"
    make_base(folder, labels={"background": 0, f"{name}\nversion: 2": 1}, shapes=[(3, 3, 3)])
    assert main(["init", "-d", "4", "--preset", "quick", "-o", str(file)]) == 0
    (task,) = read_yaml(file).plain["tasks"]
    assert task == {"base": folder}
    printed = capsys.readouterr().out
    assert shlex.split(printed.splitlines()[-1])[1:] == ["nnsparse_grid", "plan", str(file)]
