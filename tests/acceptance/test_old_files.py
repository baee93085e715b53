"""What commit 8f674e5 wrote is accepted as it was: nothing is made twice, or made anew.

The files come from ``make_old_files.py``.
"""

import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from acceptance.archive import unpack
from acceptance.commands import PATHS, nnunet, nothing_changes, run, state, work_in
from acceptance.halfway import FOLDER

BASE = "Dataset500_PhantomOrgan"
FIXED = "Dataset501_PhantomOrgan_rho0.250_s1.000_fixed_seed0"
UAL = "Dataset505_PhantomOrgan_rho0.250_s1.000_ual_seed0"
SMALL_PLANS, RECIPE_PLANS = "nnsparseSmallPlans", "nnsparseRecipePlans"
MAKE = f"nnsparse_make_dataset -d {BASE} -np 1 -device cpu"
SHORT = "num_iterations_per_epoch=2 num_val_iterations_per_epoch=1 save_every=1"
PLAN = "nnsparse_plan_and_preprocess -np 1"
PLANS_OF = {
    FIXED: f"{PLAN} -d {FIXED} -c 2d -pl SmallPlanner --set num_epochs=2 {SHORT}",
    UAL: f"{PLAN} -d {UAL} -c 3d_fullres -pl SmallPlanner -p {RECIPE_PLANS} --set {SHORT} "
    "recipe.iterations=4 'recipe.network={\"base_features\": 1}'",
}
CAMPAIGN = "nnsparse_worklist make scans --labels ball core -np 1"
CAMPAIGNS = (
    f"{CAMPAIGN} -o campaign --slices_per_volume 3",
    f"{CAMPAIGN} -o campaign_ual --slices_per_volume 2 --selector ual -device cpu",
)
IMPORT = "nnsparse_import campaign --partial --annotator Ada -np 1"


@pytest.fixture(autouse=True)
def old(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The old files, in the working directory."""
    unpack(tmp_path, leave_out=FOLDER)
    work_in(tmp_path, monkeypatch)


def answer(name: str) -> str:
    """What a command of 8f674e5 printed."""
    return Path("answers", f"{name}.txt").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    "options",
    [
        "--rho 0.25",
        "--rho 0.25 --s 0.5 --selector random --seed 3",
        "--budget 9 --scope dataset --selector stratified",
        "--slices_per_volume 2 --selector foreground_random --repeats 2",
        "--rho 0.25 --selector ual",
        "--rho 0.5 --selector random --positive_weight 2",
        "--rho 0.25 --interpolate shape",
        "--rho 0.25 --interpolate correspondence",
    ],
)
def test_the_same_data_set_exists(options: str) -> None:
    with nothing_changes(*map(Path, PATHS)):
        said = run(f"{MAKE} {options}")
    assert "exists:" in said
    assert "made:" not in said


def test_phantom_conversion_and_networks_exist() -> None:
    with nothing_changes(*map(Path, PATHS)):
        shape = "--shape 8 32 32 --num_train 6 --num_test 2"
        assert BASE in run(f"nnsparse_make_phantom organ {shape} -np 1")
        said = run("nnsparse_convert_atlas ATLAS_2 --size 7 12 11 -np 1")
        assert said.startswith("exists: ")
        run(f"nnsparse_train_mae -d {BASE} -device cpu -np 1")
        run(f"nnsparse_train_interpolator -d {BASE} -device cpu -np 1")


def test_more_variants_use_the_networks_that_are_there() -> None:
    with nothing_changes(Path("nnUNet_preprocessed")):
        assert "made:" in run(f"{MAKE} --rho 0.5 --selector ual")
        said = run("nnsparse_interpolate -d 502 --method correspondence -device cpu -np 1")
        assert "made:" in said


@pytest.mark.parametrize("data_set", PLANS_OF)
def test_preprocessed_data_are_complete(data_set: str) -> None:
    with nothing_changes(*map(Path, PATHS)):
        run(PLANS_OF[data_set])


def test_images_are_preprocessed_once() -> None:
    folder = Path("nnUNet_preprocessed")
    stores = folder / BASE / "nnsparse/images"
    stored = {file.stat().st_ino for file in stores.rglob("*.b2nd")}
    before = state(folder / BASE)
    with nothing_changes(folder / FIXED):
        run(PLANS_OF[FIXED].replace(FIXED, "503"))
    # pickles of the stores are replaced by JSON, and nothing else changes
    old, new = set(before.items()), set(state(folder / BASE).items())
    assert {Path(name).suffix for name, _ in old - new} <= {".pkl"}
    assert {Path(name).suffix for name, _ in new - old} <= {".json"}
    (other,) = folder.glob("Dataset503_*")
    for data_set in (folder / FIXED, other):
        images = [p for p in data_set.rglob("*.b2nd") if not p.stem.endswith("_seg")]
        assert images
        assert {file.stat().st_ino for file in images} <= stored


@pytest.mark.slow
@pytest.mark.parametrize(
    ("data_set", "trainer", "plans", "configuration"),
    [
        (FIXED, "SparseTrainer", SMALL_PLANS, "2d"),
        (UAL, "SparseTrainerUNet3D", RECIPE_PLANS, "3d_fullres"),
    ],
)
def test_a_training_that_was_killed_goes_on(
    data_set: str, trainer: str, plans: str, configuration: str
) -> None:
    said = nnunet(f"nnUNetv2_train {data_set} {configuration} 1 -tr {trainer} -p {plans} --c")
    assert "Epoch 1" in said
    assert "Epoch 0" not in said
    folder = Path("nnUNet_results", data_set, f"{trainer}__{plans}__{configuration}", "fold_1")
    assert (folder / "checkpoint_final.pth").is_file()


@pytest.mark.slow
def test_an_old_network_is_validated_again() -> None:
    folder = Path("nnUNet_results", FIXED, f"SparseTrainer__{SMALL_PLANS}__2d", "fold_0")
    summary = folder / "validation/summary.json"
    before = json.loads(summary.read_text("utf-8"))["foreground_mean"]
    summary.unlink()
    nnunet(f"nnUNetv2_train {FIXED} 2d 0 -tr SparseTrainer -p {SMALL_PLANS} --val")
    after = json.loads(summary.read_text("utf-8"))["foreground_mean"]
    # but for rounding, on another processor
    assert after["Dice"] == pytest.approx(before["Dice"], abs=0.01, nan_ok=True)


@pytest.mark.slow
def test_an_old_network_predicts_the_same() -> None:
    images = f"-i {Path.cwd()}/nnUNet_raw/{FIXED}/imagesTs -o again -d {FIXED} -c 2d -f 0"
    nnunet(f"nnUNetv2_predict {images} -tr SparseTrainer -p {SMALL_PLANS} -npp 0 -nps 0")
    files = sorted(Path("predictions").glob("*.nii.gz"))
    assert len(files) == 2
    for file in files:
        before, after = (
            sitk.GetArrayFromImage(sitk.ReadImage(str(folder / file.name)))
            for folder in (Path("predictions"), Path("again"))
        )
        # but for rounding, on another processor
        assert np.mean(before == after) > 0.99


def test_scores_are_the_same() -> None:
    with nothing_changes(Path("predictions")):
        run(f"nnsparse_evaluate nnUNet_raw/{FIXED}/labelsTs predictions -np 1")


@pytest.mark.slow
def test_doctor_says_the_same() -> None:
    said = run(
        f"nnsparse_doctor -d {FIXED} -c 2d -p {SMALL_PLANS} --no_picture -nb 2 --json -np 1", 0, 1
    )
    assert json.loads(said) == json.loads(answer("doctor"))


def test_status_of_the_experiment() -> None:
    with nothing_changes(Path("grid")):
        assert run("nnsparse_grid status grid.yaml") == answer("grid_status")


@pytest.mark.slow
def test_what_is_done_of_an_experiment_stays() -> None:
    done = [*Path("grid/records").rglob("*_fixed_*.json"), *Path("grid/predictions").glob("*")]
    done += Path("nnUNet_results", FIXED).iterdir()
    done += [*Path("grid/records").rglob("base/*.json"), *Path("grid/records").rglob("features/*")]
    before = {str(path): path.stat().st_mtime_ns for path in done}
    # as Snakemake starts jobs with it, and keeps its own state of the process
    program = Path(sys.executable).with_name("nnsparse_grid")
    result = subprocess.run(
        [str(program), "run", "grid.yaml", "--cores", "1"],
        capture_output=True,
        encoding="utf-8",
        check=False,
    )
    assert result.returncode == 0, result.stdout + result.stderr
    assert "everything is done" in result.stdout
    assert {str(path): path.stat().st_mtime_ns for path in done} == before
    (log,) = Path("grid/logs/train").glob("*_ual_*.txt")
    said = log.read_text("utf-8")  # without what the call that was killed said
    assert "Epoch 1" in said
    assert "Epoch 0" not in said


@pytest.mark.slow
def test_report_is_made_anew() -> None:
    report = Path("grid/report")
    before = (report / "results.csv").read_bytes()
    (report / "notes.txt").write_text("of the user")
    said = run("nnsparse_report grid.yaml --formats svg -np 1")
    assert "1 of 2 trainings" in said
    assert (report / "results.csv").read_bytes() == before
    assert (report / "notes.txt").is_file()
    assert not list(Path("grid").glob(".nnsparse_*"))


def test_advice_is_the_same() -> None:
    """But for the words of the paper, which are quoted now, with its lowest density.

    Of 8 slices a volume both 0.125 and 0.05 are one.
    """

    def unquoted(text: str) -> str:
        text = re.sub(r"  [^\n]*Zhang, Kramer.*?(?=\n    2D:)", "QUOTE", text, flags=re.DOTALL)
        return re.sub("--rho (0.125|0.05) ", "--rho RHO ", text)

    said = unquoted(run("nnsparse_advise grid.yaml --budget 5"))
    assert said == unquoted(answer("advice"))
    assert "QUOTE" in said
    assert "--rho RHO" in said


@pytest.mark.parametrize("line", CAMPAIGNS)
def test_the_same_campaign_exists(line: str) -> None:
    folder = Path(line.split()[line.split().index("-o") + 1])
    with nothing_changes(folder):
        assert "exists:" in run(line)


def test_campaign_is_imported_once() -> None:
    # the worklist is written again
    with nothing_changes(Path("campaign"), times=False), nothing_changes(Path("nnUNet_raw")):
        assert run("nnsparse_worklist status campaign -np 1") == answer("campaign_status")
        assert "exists:" in run(IMPORT)


def test_campaign_is_extended_and_imported_again() -> None:
    parts = Path("campaign/split.json").read_bytes()
    assert "asked for:  2 slices" in run("nnsparse_worklist extend campaign --budget 2 -np 1")
    said = run(f"{IMPORT} --overwrite")
    assert "made:" in said
    assert Path("campaign/split.json").read_bytes() == parts


def test_campaign_is_extended_by_its_network() -> None:
    with nothing_changes(Path("campaign_ual/features")):
        run("nnsparse_worklist extend campaign_ual --budget 2 -device cpu -np 1")
