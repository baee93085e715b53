"""The command ``nnsparse_extend``."""

import json
import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from conftest import BaseMaker
from tiny import tree
from trained_models import dataset_json, plans, write_model

from nnunet_sparse.dataset_tools.extend_command import main
from nnunet_sparse.dataset_tools.make_dataset_command import main as make_dataset
from nnunet_sparse.doctor.doctor_command import main as doctor
from nnunet_sparse.planners.planning_input import read_base_name
from nnunet_sparse.report.selection.show_selection import main as show_selection
from nnunet_sparse.selection.selection import Selection
from nnunet_sparse.system.paths import NnUNetPaths

ONE = ("-np", "1")
Capture = pytest.CaptureFixture[str]


@pytest.fixture
def sparse(paths: NnUNetPaths, make_base: BaseMaker) -> Path:
    """A sparse data set, and a network of one fold."""
    make_base(num_train=6, num_test=1)
    assert make_dataset(["-d", "4", "--slices_per_volume", "2", *ONE]) == 0
    write_model(paths.results, plans(patch=(16, 16)), dataset_json())
    (folder,) = paths.raw.glob("Dataset500_*")
    return folder


def model(paths: NnUNetPaths) -> tuple[str, ...]:
    folder = paths.results / "Dataset004_Tiny" / "nnUNetTrainer__nnUNetPlans__2d"
    return "--model", str(folder), "-device", "cpu"


def extend(*options: str) -> int:
    return main(["-d", "500", *options, *ONE])


def test_what_it_says(sparse: Path, paths: NnUNetPaths, capsys: Capture) -> None:
    asked = ("--budget", "4", "--selector", "clasp_pe", *model(paths))
    before = tree(paths.raw)
    capsys.readouterr()
    assert extend(*asked, "--dry_run") == 0
    told = capsys.readouterr().out
    assert tree(paths.raw) == before
    assert f"extended:   {sparse.name} (10 slices)" in told
    assert "added:      4 slices in" in told
    assert "chosen by clasp_pe" in told
    assert "budget:     14 slices in 5 volumes" in told
    assert re.search(
        r"would make: DatasetXXX_Tiny_k2_s1.000_fixed_seed0_r2_n4_clasp_pe_\w{6}", told
    )
    assert told.endswith("dry run: no data set was written\n")
    assert extend(*asked) == 0
    told = capsys.readouterr().out
    assert f"made:       {paths.raw}/Dataset501_" in told
    assert "next:       nnsparse_plan_and_preprocess -d Dataset501_" in told
    assert extend(*asked) == 0
    assert f"exists:     {paths.raw}/Dataset501_" in capsys.readouterr().out


def test_what_is_not_said_is_as_in_the_first_choice(paths: NnUNetPaths, sparse: Path) -> None:
    assert (
        make_dataset(["-d", "4", "--rho", "0.3", "--selector", "random", "--seed", "3", *ONE]) == 0
    )
    assert main(["-d", "501", "--budget", "3", *ONE]) == 0
    (folder,) = paths.raw.glob("Dataset502_*")
    variant = Selection.read(folder / "selection.json").rounds[0].variant
    assert (variant.selector, variant.seed, variant.scope, variant.s) == ("random", 3, "volume", 1)
    assert sparse.is_dir()


@pytest.mark.slow
def test_the_doctor_and_other_commands_take_it(
    sparse: Path, paths: NnUNetPaths, capsys: Capture, tmp_path: Path
) -> None:
    assert extend("--rho", "0.2", "--selector", "random", "--s", "1.0") == 0
    (folder,) = paths.raw.glob("Dataset501_*")
    assert read_base_name(folder) == read_base_name(sparse) == "Dataset004_Tiny"
    capsys.readouterr()
    doctor(["-d", "501", "--no_picture", *ONE])
    assert "0 broken" in capsys.readouterr().out
    assert show_selection(["501", "-o", str(tmp_path / "shown"), *ONE]) == 0


def test_two_at_once_make_one(sparse: Path, paths: NnUNetPaths) -> None:
    del sparse
    asked = ("--budget", "4", "--selector", "entropy", *model(paths))
    with ThreadPoolExecutor(2) as pool:
        assert list(pool.map(lambda _: extend(*asked), range(2))) == [0, 0]
    names = [path.name for path in paths.raw.iterdir() if not path.name.endswith(".lock")]
    assert sorted(name[:10] for name in names) == ["Dataset004", "Dataset500", "Dataset501"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--selector", "entropy"), "selector entropy asks a network .*--model FOLDER"),
        (("--selector", "random", "-f", "0"), "-f works with --model"),
        (("--selector", "nope"), "unknown selector 'nope', choose from bald, clasp_pe"),
        (("--set", "x=1", "--selector", "clasp_pe"), "no parameter 'x'; it has first_beta"),
        (("--selector", "random", "--model", "nowhere"), "nowhere is no folder|asks no network"),
        (("--selector", "single_object", "--scope", "dataset"), "single_object has scope volume"),
    ],
)
def test_what_is_refused(
    sparse: Path, paths: NnUNetPaths, options: tuple[str, ...], message: str, capsys: Capture
) -> None:
    del sparse
    before = tree(paths.raw.parent)
    assert extend("--budget", "4", *options) == 2
    told = capsys.readouterr().err.strip().splitlines()
    assert len(told) == 1
    assert re.search(message, told[0])
    assert tree(paths.raw.parent) == before


def test_one_fold_cannot_disagree(sparse: Path, paths: NnUNetPaths, capsys: Capture) -> None:
    del sparse
    assert extend("--budget", "4", "--selector", "power_bald", *model(paths)) == 2
    assert "power_bald compares the networks of an ensemble" in capsys.readouterr().err


def test_a_network_that_has_seen_test_cases_is_warned_of(
    sparse: Path, paths: NnUNetPaths, caplog: pytest.LogCaptureFixture
) -> None:
    del sparse
    base, other = paths.raw / "Dataset004_Tiny", paths.raw / "Dataset900_Any"
    (other / "imagesTr").mkdir(parents=True)
    image = base / "imagesTs" / "ts_00_0000.nii.gz"
    (other / "imagesTr" / "its_name_0000.nii.gz").hardlink_to(image)
    (other / "dataset.json").write_text(json.dumps(dataset_json() | {"numTraining": 1}))
    folder = write_model(paths.results, plans(patch=(16, 16), dataset=other.name), dataset_json())
    asked = ("--selector", "entropy", "--model", str(folder), "-device", "cpu")
    assert extend("--budget", "4", *asked) == 0
    assert "was trained on test cases: ts_00" in caplog.text
