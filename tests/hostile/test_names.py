"""Hostile names in every place where a name enters, and every command run on the result."""

import csv
import json
import shlex
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from campaign.conftest import CampaignWriter
from conftest import BaseMaker
from hostile.hostile_names import STRANGE, UNUSABLE
from tiny import tree, write_volume

from nnunet_sparse.campaign import import_command, worklist_command
from nnunet_sparse.dataset_tools import make_dataset_command
from nnunet_sparse.doctor import doctor_command
from nnunet_sparse.evaluation import evaluate
from nnunet_sparse.features import train_mae_command
from nnunet_sparse.grid import grid_command
from nnunet_sparse.interpolation import train_interpolator_command
from nnunet_sparse.planners import plan_and_preprocess
from nnunet_sparse.report.interpolation import quality_command
from nnunet_sparse.system.paths import NnUNetPaths

Main = Callable[[Sequence[str]], int]

ON_DATASETS: dict[str, tuple[Main, list[str]]] = {
    "make_dataset": (make_dataset_command.main, ["-d", "4", "--rho", "0.5"]),
    "doctor": (doctor_command.main, ["-d", "4"]),
    "plan_and_preprocess": (plan_and_preprocess.main, ["-d", "4", "-c", "2d"]),
    "train_mae": (train_mae_command.main, ["-d", "4", "-device", "cpu"]),
    "train_interpolator": (train_interpolator_command.main, ["-d", "4", "-device", "cpu"]),
    "interpolation_quality": (quality_command.main, ["-d", "4", "--methods", "nearest"]),
    "worklist": (
        worklist_command.main,
        ["make", "-d", "4", "-o", "campaign", "--rho", "0.5"],
    ),
    "init": (grid_command.main, ["init", "-d", "4", "-o", "grid.yaml"]),
}
ON_CAMPAIGNS: dict[str, tuple[Main, list[str]]] = {
    "status": (worklist_command.main, ["status", "campaign"]),
    "extend": (worklist_command.main, ["extend", "campaign", "--budget", "1"]),
    "import": (import_command.main, ["campaign"]),
}
# JSON cannot hold what is no UTF-8, and half a character is refused with the file
IN_JSON = [name for name in UNUSABLE if name != "no UTF-8"]
IN_FOLDERS = {k: n for k, n in UNUSABLE.items() if k in {"newline", "escape", "no UTF-8"}}


@pytest.fixture
def outside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder in which commands are called."""
    folder = tmp_path / "outside"
    folder.mkdir()
    (folder / "b_0000.nii.gz").write_text("somebody's")
    monkeypatch.chdir(folder)
    return folder


def refused(main: Main, argv: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    """The line by which a command refuses."""
    capsys.readouterr()
    try:
        status = main([*argv, "-np", "1"] if "init" not in argv else argv)
    except SystemExit as error:
        status = int(str(error.code))
    assert status == 2
    said = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error: ")]
    assert len(said) == 1
    return said[0]


@pytest.mark.usefixtures("outside")
@pytest.mark.parametrize("command", [name for name in ON_DATASETS if name != "init"])
def test_case_ids_of_a_mapping(
    command: str,
    make_base: BaseMaker,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    base = make_base(num_train=2, shapes=[(3, 3, 3)], labels=None)
    file = base / "dataset.json"
    content: dict[str, Any] = json.loads(file.read_text("utf-8"))
    content["labels"]["ignore"] = 3
    files = {"images": ["imagesTr/tr_00_0000.nii.gz"], "label": "labelsTr/tr_00.nii.gz"}
    for kind in IN_JSON:
        file.write_text(json.dumps(content | {"dataset": {UNUSABLE[kind]: files}}))
        before = tree(tmp_path)
        assert "a case ID" in refused(*ON_DATASETS[command], capsys)
        assert tree(tmp_path) == before, kind


@pytest.mark.usefixtures("outside")
@pytest.mark.parametrize("command", [name for name in ON_DATASETS if name != "init"])
def test_endings_of_files_that_lead_elsewhere(
    command: str,
    make_base: BaseMaker,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    make_base(num_train=2, shapes=[(3, 3, 3)], extra={"file_ending": "/../../outside/a.nii.gz"})
    before = tree(tmp_path)
    assert "file_ending must" in refused(*ON_DATASETS[command], capsys)
    assert tree(tmp_path) == before


@pytest.mark.usefixtures("outside")
@pytest.mark.parametrize("command", ["make_dataset", "worklist", "interpolation_quality"])
@pytest.mark.parametrize("kind", IN_FOLDERS)
def test_case_ids_of_folders(
    command: str,
    kind: str,
    make_base: BaseMaker,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    base = make_base(num_train=2, shapes=[(3, 3, 3)])
    for file in (base / "imagesTr" / "tr_00_0000.nii.gz", base / "labelsTr" / "tr_00.nii.gz"):
        file.rename(file.with_name(file.name.replace("tr_00", IN_FOLDERS[kind])))
    before = tree(tmp_path)
    assert "a case ID holds characters" in refused(*ON_DATASETS[command], capsys)
    assert tree(tmp_path) == before


@pytest.mark.usefixtures("paths")
@pytest.mark.parametrize("command", ON_CAMPAIGNS)
@pytest.mark.parametrize("where", ["volumes", "slices"])
def test_case_ids_of_campaigns(
    command: str,
    where: str,
    write_campaign: CampaignWriter,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    campaign = write_campaign({"a": (0,), "b": (1,)})
    campaign.write()
    monkeypatch.chdir(tmp_path)
    file = campaign.folder / "campaign.json"
    content = json.loads(file.read_text("utf-8"))
    for kind in IN_JSON:
        changed = json.loads(json.dumps(content))
        cases = changed["volumes"] if where == "volumes" else changed["rounds"][0]["slices"]
        cases[UNUSABLE[kind]] = cases.pop("a")
        file.write_text(json.dumps(changed))
        before = tree(tmp_path)
        assert "campaign.json is damaged: a key of" in refused(*ON_CAMPAIGNS[command], capsys)
        assert tree(tmp_path) == before, kind


def test_strange_names_of_cases_and_labels_are_names_like_others(
    make_base: BaseMaker,
    paths: NnUNetPaths,
    tmp_path: Path,
    outside: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Sparse data, doctor, quality of interpolation and evaluation, with nothing outside."""
    kinds = ("formula", "option", "formula of an at", "backticks", "HTML", "quotes", "braces")
    names = [STRANGE[kind] for kind in kinds]
    labels = {"background": 0, **{name: k for k, name in enumerate(names, 1)}}
    base = make_base(num_train=1, labels=labels)
    rng = np.random.default_rng(0)
    for case_id in names:
        label = rng.integers(0, len(labels), (4, 5, 5)).astype(np.uint8)
        write_volume(base / "labelsTr" / f"{case_id}.nii.gz", label)
        image = rng.normal(size=label.shape).astype(np.float32)
        write_volume(base / "imagesTr" / f"{case_id}_0000.nii.gz", image)
    before = tree(outside)
    assert make_dataset_command.main(["-d", "4", "--rho", "0.5", "-np", "1"]) == 0
    said = capsys.readouterr().out
    (made,) = [name for name in paths.raw.iterdir() if "seed0" in name.name]
    line = next(line for line in said.splitlines() if line.startswith("next"))
    assert shlex.split(line.partition(":")[2]) == ["nnsparse_plan_and_preprocess", "-d", made.name]
    assert doctor_command.main(["-d", made.name, "-np", "1"]) in {0, 1}
    assert tree(outside) == before
    report = tmp_path / "report"
    argv = ["-d", "4", "--methods", "nearest", "--rho", "0.5", "-np", "1", "-o", str(report)]
    assert quality_command.main(argv) == 0
    assert tree(outside) == before
    with (report / "quality.csv").open(encoding="utf-8", newline="") as stream:
        cells = {cell for row in csv.reader(stream) for cell in row}
    assert not [cell for cell in cells if cell.startswith(("=", "@", "+", "-")) and cell[1:2]]
    assert {f"'{name}" for name in names if name[0] in "=+-@"} <= cells
    assert "<script>" not in (report / "quality.md").read_text("utf-8")
    folder = tmp_path / "scored"
    write_volume(folder / f"{names[0]}.nii.gz", np.eye(3, dtype=np.uint8)[None])
    argv = [str(folder), str(folder), "-l", "1", "-o", str(tmp_path / "scores.json"), "-np", "1"]
    assert evaluate.main(argv) == 0
    assert tree(outside) == before


@pytest.mark.usefixtures("paths")
def test_strange_names_of_scans_labels_and_annotators(
    tmp_path: Path, outside: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A campaign from its making to its import."""
    names = [name for name in STRANGE.values() if name.isprintable()][:12]
    scans, campaign = tmp_path / "scans", tmp_path / "cam $(paign)"
    for number, name in enumerate(names[:8]):
        image = np.random.default_rng(number).normal(size=(4, 5, 5)).astype(np.float32)
        write_volume(scans / f"{number}{name}.nii.gz", image)
    before = tree(outside)
    labels = ["--labels", *(f"label {name}" for name in names)]
    argv = ["make", str(scans), "-o", str(campaign), "--rho", "0.5", "-np", "1", *labels]
    assert worklist_command.main(argv) == 0
    said = [line for line in capsys.readouterr().out.splitlines() if line.startswith("next")]
    assert shlex.split(said[0])[-3:] == ["nnsparse_worklist", "status", str(campaign)]
    worklist = campaign / "worklist.csv"
    with worklist.open(encoding="utf-8-sig", newline="") as stream:
        rows = list(csv.DictReader(stream))
    for number, row in enumerate(rows):
        row["confirmed_empty"], row["annotator"] = "yes", names[number % len(names)]
    with worklist.open("w", encoding="utf-8-sig", newline="") as stream:
        writer = csv.DictWriter(stream, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    for _ in range(2):
        assert worklist_command.main(["status", str(campaign), "-np", "1"]) == 0
        with worklist.open(encoding="utf-8-sig", newline="") as stream:
            people = [row["annotator"] for row in csv.DictReader(stream)]
        assert not [name for name in people if name.startswith(("=", "@", "+", "-"))]
        assert [name.removeprefix("'") for name in people] == [row["annotator"] for row in rows]
    assert "<script>" not in (campaign / "README.html").read_text("utf-8")
    assert tree(outside) == before
    assert import_command.main([str(campaign), "-np", "1"]) in {0, 2}
    assert "Traceback" not in capsys.readouterr().err
    assert tree(outside) == before
