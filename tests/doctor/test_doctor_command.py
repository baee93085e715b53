import json

import numpy as np
import pytest
from matplotlib.image import imread
from tiny import tree

from nnunet_sparse.doctor.doctor_command import main, picture_files
from nnunet_sparse.doctor.finding import Diagnosis, Finding
from nnunet_sparse.doctor.findings_table import format_report

QUICK = ["-d", "600", "-nb", "2", "-np", "1"]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    result = tmp_path / "here"
    result.mkdir()
    monkeypatch.chdir(result)
    return result


def test_a_sound_data_set(toy, folder, capsys):
    toy.write()
    before = tree(toy.paths.raw.parent)
    assert main([*QUICK, "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["verdict"] == "ok"
    assert document["dataset"] == "Dataset600_Toy"
    names = [file.name for file in folder.iterdir()]
    assert names == document["pictures"] == ["Dataset600_Toy_3d_fullres_batch.png"]
    assert tree(toy.paths.raw.parent) == before


def test_a_broken_data_set_in_words(toy, folder, capsys):
    toy.labels["case_1"][:] = 3
    toy.write_raw()
    assert main(QUICK) == 1
    out = capsys.readouterr().out
    assert "broken   ignored cases" in out
    assert "-> annotate at least one slice of each" in out
    assert "skipped: preprocessed data and batches: " in " ".join(out.split())
    assert max(map(len, out.splitlines())) <= 130
    assert list(folder.iterdir()) == []


def fails(capsys, *argv):
    assert main([*QUICK, *argv]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.count("\n") == 1
    return captured.err


def test_no_ignore_label(toy, capsys):
    del toy.label_names["ignore"]
    toy.write_raw()
    assert "has no ignore label" in fails(capsys)


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["-p", "other"], "no plans 'other', there are nnsparsePlans"),
        (["-c", "3d"], "no configuration '3d', choose from 2d, 3d_fullres"),
        (["--picture", "no/such/folder.png"], "no/such is no folder that can be written to"),
        (["--picture", "a.jpg"], "PNG"),
    ],
)
def test_bad_arguments(toy, folder, capsys, argv, message):
    toy.write()
    assert message in fails(capsys, *argv)
    assert list(folder.iterdir()) == []


def test_an_unknown_trainer_of_unprocessed_data(toy, capsys):
    toy.write_raw()
    assert "finds no trainer 'NoTrainer'" in fails(capsys, "-tr", "NoTrainer")


@pytest.mark.parametrize("text", ["{", "{}", '{"foreground_intensity_properties_per_channel": 3}'])
def test_a_damaged_fingerprint(toy, capsys, text):
    toy.write_raw()
    (toy.preprocessed / "dataset_fingerprint.json").write_text(text)
    assert "plan again" in fails(capsys)


def test_a_case_with_another_number_of_channels(toy, capsys):
    toy.images["case_2"] = np.concatenate([toy.images["case_2"]] * 2)
    toy.write_raw()
    assert "case_2_0000.nii.gz: the case has 2 channels, dataset.json names 1" in fails(capsys)


def test_an_existing_picture_is_kept(toy, folder, capsys):
    toy.write()
    file = folder / "mine.png"
    file.write_bytes(b"mine")
    assert "--overwrite" in fails(capsys, "--picture", "mine.png")
    assert file.read_bytes() == b"mine"
    assert main([*QUICK, "--picture", "mine.png", "--overwrite"]) == 0
    assert min(imread(file).shape[:2]) > 300


def test_several_plans(toy, capsys):
    toy.write([])
    plans = toy.preprocessed / "nnsparsePlans.json"
    for name in ("a", "b"):
        (toy.preprocessed / f"{name}.json").write_text(plans.read_text("utf-8"))
    plans.unlink()
    assert "choose with -p: a, b" in fails(capsys)


def test_names_of_pictures(tmp_path):
    assert picture_files(tmp_path / "x.png", "D", ["2d"]) == {"2d": tmp_path / "x.png"}
    assert picture_files(tmp_path / "x.png", "D", ["2d", "3d"])["3d"] == tmp_path / "x_3d.png"
    assert str(picture_files(None, "D", ["2d"])["2d"]) == "D_2d_batch.png"


def test_the_table_is_aligned():
    findings = [
        Finding("first", "ok", 12, "all is well"),
        Finding("another", "broken", 0.5, "half", "mend it", stock=0.25, configuration="2d"),
        Finding("third", "ok", 2.5, "far", stock=26.25, unit="SD"),
    ]
    text = format_report(Diagnosis("Dataset001_X", "plans", "Trainer", findings, []))
    assert text.splitlines()[2:-2] == [
        "verdict  check    configuration   number   nnU-Net",
        "ok       first                        12",
        "         all is well",
        "broken   another  2d              50.0 %    25.0 %",
        "         half",
        "         -> mend it",
        "ok       third                   2.50 SD  26.25 SD",
        "         far",
    ]


def test_numbers_that_are_not_finite_are_null():
    finding = Finding("x", "ok", float("nan"), "", details={"a": [float("inf"), 1]})
    content = Diagnosis("d", None, "t", [finding], []).to_json()["findings"][0]
    assert (content["number"], content["details"]) == (None, {"a": [None, 1]})
