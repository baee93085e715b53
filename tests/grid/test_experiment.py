from pathlib import Path

import pytest
from conftest import BaseMaker
from grid_fixtures import TINY, write_grid

from nnunet_sparse.grid.experiment import Experiment
from nnunet_sparse.grid.open_grid import open_grid
from nnunet_sparse.system.errors import SparseError
from nnunet_sparse.system.paths import NnUNetPaths


def test_defaults_are_the_papers(tmp_path: Path) -> None:
    text = "nnunet: data\ntasks:\n  - base: 4\nconfigurations:\n  - configuration: 2d\n"
    grid = write_grid(tmp_path, text, "paper.yaml")
    experiment = grid.experiment
    assert experiment.rho == (0.05, 0.1, 0.2, 0.4, 0.8)
    assert experiment.s == (0.125, 0.25, 0.5, 1.0)
    assert experiment.selectors == ("fixed", "random", "ual")
    assert (experiment.repeats, experiment.dense) == (3, True)
    assert experiment.tasks[0].base == "4"
    assert grid.folder == tmp_path / "paper"
    assert grid.paths == NnUNetPaths.below(tmp_path / "data")


def test_fractions_and_single_values(tmp_path: Path) -> None:
    text = TINY.replace("s: [1/2, 1]", "s: [1/8, 0.25, 1]").replace("rho: [0.2]", "rho: 1/5")
    experiment = write_grid(tmp_path, text).experiment
    assert (experiment.s, experiment.rho) == ((0.125, 0.25, 1.0), (0.2,))


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("rho: [0.2]", "rho: [0.2, 1.2]", "line 8: rho must be a list of different densities"),
        ("rho: [0.2]", "rho: [0.2, 1/5]", "line 8: rho must be a list of different densities"),
        ("rho: [0.2]", "rho: [1/0]", "line 8: rho must be a list of different densities"),
        ("rho: [0.2]", "rho: []", "line 8: rho must be a list of different densities"),
        ("[fixed]", "[fixd]", "line 10: selectors must be a list of some of coreset"),
        ("[fixed]", "[fixed, fixed]", "line 10: selectors must be a list"),
        ("[fixed]", "[fixed, clasp_pe]", "line 10: selector clasp_pe asks a network"),
        ("repeats: 1", "repeats: 0", "line 11: repeats must be a whole number from 1 to 1000"),
        ("repeats: 1", "repeats: 3000000", "line 11: repeats must be a whole number from 1 to"),
        ("repeats: 1", "seeds: [99999999999]", "line 11: seeds must be different whole numbers"),
        ("repeats: 1", f"budget: {10**40}", "line 11: budget must be different whole numbers"),
        ("[16, 32, 32]", "[100000, 1, 1]", "line 2: shape must be three numbers"),
        ("[16, 32, 32]", "[4096, 4096, 4096]", "line 2: shape [4096, 4096, 4096] has 6.9e+10"),
        ("32],", "32], spacing: [1, 2],", "line 2: spacing must be three numbers of mm above 0"),
        ("32],", "32], spacing: [1, 0, 2],", "line 2: spacing must be three numbers of mm"),
        ("32],", "32], variation: 3,", "line 2: variation must be a number from 0 to 2, got 3"),
        ("32],", "32], drawn_slices: 24,", "line 2: drawn_slices must be a multiple of the 16"),
        (
            "repeats: 1",
            f"repeats: 1000\nseeds: {list(range(101))}",
            "line 2: the lists of this file combine to 2.02e+05 trainings",
        ),
        ("repeats: 1", "repeat: 1", "line 11: unknown key 'repeat' (did you mean repeats?"),
        ("repeats: 1", "seeds: [1, 1]", "line 11: seeds must be different whole numbers"),
        ("repeats: 1", "version: 2", "line 11: version must be 1, got 2"),
        ("threads: 1", "threads: many", "line 13: threads must be a whole number"),
        ("device: cpu", "device: gpu", "line 14: device must be one of auto, cpu, cuda"),
        ("num_epochs: 3", "num_epoch: 3", "line 6: unknown setting 'num_epoch' (did you mean"),
        ("num_epochs: 3", "num_epochs: x", "line 6: setting num_epochs must be a whole number"),
        ("{task: organ,", "{task: liver,", "line 2: task must be one of"),
        ("[16, 32, 32]", "[16, 32]", "line 2: shape must be three numbers"),
        ("  - phantom", "  - base: 4\n    phantom", "line 2: a task has either a base or a"),
        ("num_test: 2}", "num_test: 2}\n    val: 2", "line 2: a phantom has a split of its own"),
        (
            "repeats: 1",
            "interpolation: {methods: [shape], one_way: true}",
            "line 11: one_way works with correspondence, not with shape",
        ),
        (
            "configuration: 2d",
            "configuration: 3d_cascade_fullres",
            "line 4: configuration must be one of",
        ),
    ],
)
def test_what_is_wrong_is_named_with_its_line(
    tmp_path: Path, old: str, new: str, message: str
) -> None:
    assert old in TINY
    with pytest.raises(SparseError) as error:
        write_grid(tmp_path, TINY.replace(old, new))
    assert str(error.value).startswith(f"{tmp_path / 'tiny.yaml'}, {message}")


def test_what_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(SparseError, match="tasks is missing"):
        write_grid(tmp_path, "nnunet: a\nrepeats: 1\n")
    with pytest.raises(SparseError, match="configurations is missing, for 4"):
        write_grid(tmp_path, "nnunet: a\ntasks:\n  - base: 4\n")


@pytest.mark.usefixtures("no_paths")
def test_nnunets_folders_are_the_environments(make_base: BaseMaker, tmp_path: Path) -> None:
    make_base()
    text = "tasks:\n  - base: 4\nconfigurations:\n  - configuration: 2d\n"
    assert write_grid(tmp_path, text).paths == NnUNetPaths.below(tmp_path / "nnunet")


def test_a_file_without_ending_needs_a_folder(tmp_path: Path) -> None:
    (tmp_path / "tiny").write_text(TINY)
    with pytest.raises(SparseError, match="folder: NAME"):
        open_grid(tmp_path / "tiny")


def test_every_field_has_a_rule_or_a_schema() -> None:
    for name, item in Experiment.__dataclass_fields__.items():
        assert {"rule", "schema", "lines"} & set(item.metadata), name


@pytest.mark.parametrize(
    ("old", "new", "line", "message"),
    [
        ("device: cpu", "folder: .", 14, " cannot be the experiment's folder, since it holds "),
        ("device: cpu", "folder: nnunet", 14, "nnunet cannot be the experiment's folder, since"),
        ("device: cpu", "folder: nnunet/nnUNet_raw/a", 14, "since it lies in "),
        ("device: cpu", "folder: taken", 14, "taken is a file; another folder is named with fol"),
        ("nnunet: nnunet", "nnunet: taken", 12, "taken is a file, not a folder"),
    ],
)
def test_folders_that_hold_other_things(
    tmp_path: Path, old: str, new: str, line: int, message: str
) -> None:
    (tmp_path / "taken").touch()
    with pytest.raises(SparseError, match=rf"tiny.yaml, line {line}: .*{message}"):
        write_grid(tmp_path, TINY.replace(old, new))


def test_misspelt_selectors(tmp_path: Path) -> None:
    with pytest.raises(SparseError) as error:
        write_grid(tmp_path, TINY.replace("[fixed]", "[fixed, randon]"))
    said = str(error.value)
    assert "line 10: selectors must be a list of some of " in said
    assert said.endswith("got ['fixed', 'randon'] (did you mean random?)")
