import csv
import json
import os
from dataclasses import replace

import numpy as np
import pytest
from file_times import date_back, written_since
from matplotlib.image import imread
from tiny import tree
from trained_models import plans, write_model

from nnunet_sparse.evaluation.metrics import Counts
from nnunet_sparse.interpolation.request import Interpolation
from nnunet_sparse.prediction.trained_network import TrainedNetwork
from nnunet_sparse.report.interpolation import quality_figures
from nnunet_sparse.report.interpolation.interpolation_quality import (
    from_json,
    measure_case,
    to_json,
)
from nnunet_sparse.report.interpolation.quality_command import main
from nnunet_sparse.report.interpolation.quality_table import (
    of_all_selectors,
    of_mean,
    quality_csv,
    quality_markdown,
    quality_rows,
)

NEAREST = Interpolation("nearest")
LABELS = {"a": [1], "both": [1, 2], "none": [3]}


def case_of(*rows):
    """A label of slices of one row each."""
    return np.array(rows)[:, None, :]


def measured(label, **chosen):
    slices = {float(rho.removeprefix("r").replace("_", ".")): s for rho, s in chosen.items()}
    return measure_case(label, slices, [NEAREST], LABELS, (1, 1), lambda _: (None, 0.0))


def test_scores_by_hand():
    label = case_of([1, 1, 0, 2], [1, 0, 0, 2], [0, 0, 1, 2], [1, 1, 0, 0])
    (found,) = measured(label, r0_5=[0, 3])
    # slices 1 and 2 are found as [1, 1, 0, 2] and [1, 1, 0, 0]
    assert found.propagated["a"] == Counts(1, 3, 1)
    assert found.mixed["a"] == Counts(5, 3, 1)
    assert found.propagated["both"] == Counts(2, 3, 2)
    assert found.worst == (2, 4)
    rows = {row.label: row for row in quality_rows({"case": [found]}).itertuples()}
    assert rows["a"].propagated == pytest.approx(0.2)
    assert rows["a"].mixed == pytest.approx(5 / 9)
    assert np.isnan(rows["none"].mixed)
    assert rows["mean"].propagated == pytest.approx((1 / 5 + 2 / 7) / 2)


def test_voxels_of_all_cases_are_pooled():
    first, second = case_of([1, 1], [1, 1]), case_of([1, 0], [0, 0])
    cases = {"x": measured(first, r0_5=[0]), "y": measured(second, r0_5=[0])}
    row = quality_rows(cases).iloc[0]
    assert row.propagated == pytest.approx(2 / 3)  # 1 and 0 by case
    assert row.mixed == pytest.approx(5 / 6)


def test_voxels_of_several_selectors_are_pooled():
    label = case_of([1, 1], [1, 1], [1, 0], [0, 0])
    found = [
        replace(measured(label, r0_5=slices)[0], selector=name)
        for name, slices in (("fixed", [0, 2]), ("random", [1, 3]))
    ]
    assert from_json(json.loads(json.dumps(to_json(found)))) == found
    rows = quality_rows({"x": found})
    one = rows[rows["label"] == "a"].set_index("selector")
    # of slices 1 and 3 [1, 1] and [1, 0] are found, of 0 and 2 [1, 1] and [1, 1]
    assert one["propagated"].to_dict() == {
        "fixed": pytest.approx(2 / 3),
        "random": pytest.approx(3 / 4),
        "all": pytest.approx(5 / 7),
    }
    assert one["mixed"]["all"] == pytest.approx((5 + 5) / (6 + 6))
    assert of_all_selectors(rows)["selector"].unique().tolist() == ["all"]
    assert "| all | 0.5 | nearest | a | 0.833 | 0.714 |" in quality_markdown(rows)
    assert quality_csv(rows).startswith("selector,rho,method,label,mixed,propagated,seconds\n")
    single = quality_rows({"x": [replace(one, selector="") for one in found[:1]]})
    assert "selector" not in single
    assert of_all_selectors(single) is single


def test_every_slice_annotated():
    (found,) = measured(case_of([1, 2], [0, 1]), r1_0=[0, 1])
    rows = quality_rows({"x": [found]})
    assert rows["mixed"][0] == 1.0
    assert np.isnan(rows["propagated"][0])
    assert found.worst == (-1, 0)
    assert "| 1 | nearest | a | 1.000 | n/a |" in quality_markdown(rows[:1])


def test_tables_and_back():
    found = measured(case_of([1, 2], [0, 1], [1, 1]), r0_5=[0, 2], r0_1=[0])
    assert from_json(json.loads(json.dumps(to_json(found)))) == found
    rows = quality_rows({"x": found})
    table = list(csv.DictReader(quality_csv(rows).splitlines()))
    assert [row["label"] for row in table] == ["a", "both", "none", "mean"] * 2
    assert table[2]["mixed"] == ""
    markdown = quality_markdown(of_mean(rows))
    assert markdown.count("| mean |") == 2
    assert "| a |" not in markdown
    assert "| ATLAS lesion | 0.5621 | 0.7326 | 0.8831 | 0.9674 | n/a |" in markdown


@pytest.fixture
def no_figures(monkeypatch):
    """Draw nothing: it takes longer than all the rest."""
    monkeypatch.setattr(quality_figures, "draw_quality", lambda *_: None)
    monkeypatch.setattr(quality_figures, "draw_worst", lambda *_: None)


@pytest.mark.usefixtures("short")
def test_the_command(paths, make_base, tmp_path, capsys):
    make_base()
    before = tree(paths.raw)
    argv = ["-d", "4", "--rho", "0.2", "0.5", "-o", str(tmp_path), "-np", "1", "-device", "cpu"]
    assert main(argv) == 0
    shown = capsys.readouterr().out
    for method in ("correspondence", "shape", "nearest", "correspondence_oneway"):
        assert f"| 0.2 | {method} | mean | 0." in shown
    assert {file.name for file in tmp_path.iterdir() if file.is_file()} == {
        "options.json",
        "quality.csv",
        "quality.md",
        "quality.png",
        "quality.svg",
        "worst.png",
    }
    assert min(imread(tmp_path / "worst.png").shape[:2]) > 300
    assert tree(paths.raw) == before
    cases = tmp_path / "cases"
    date_back(cases)
    assert len(list(cases.iterdir())) == 7
    assert main(argv) == 0
    assert capsys.readouterr().out == shown
    assert written_since(cases) == set()
    others = [*argv, "--methods", "shape", "--selector", "random"]
    assert main(others) == 2
    assert "a report with another selector (fixed): choose another" in capsys.readouterr().err
    assert written_since(cases) == set()
    assert main([*others, "--overwrite"]) == 0
    assert "correspondence" not in capsys.readouterr().out
    assert written_since(cases) == {cases, *cases.iterdir()}


@pytest.mark.usefixtures("short", "no_figures")
def test_selectors_with_a_weight_and_two_networks(make_base, tmp_path, capsys):
    make_base()
    argv = ["-d", "4", "--rho", "0.2", "-o", str(tmp_path), "-np", "1", "-device", "cpu"]
    argv += ["--selector", "fixed", "ual", "--positive_weight", "50"]
    argv += ["--methods", "published", "correspondence_oneway"]
    argv += ["--change", "num_slices=2"]
    assert main(argv) == 0
    shown = capsys.readouterr().out
    ways = "published_numslices2", "correspondence_oneway_numslices2"
    for selector in ("fixed", "ual", "all"):
        for way in ways:
            assert f"| {selector} | 0.2 | {way}" in shown
    options = json.loads((tmp_path / "options.json").read_text("utf-8"))
    assert (options["selector"], options["positive_weight"]) == (["fixed", "ual"], 50)
    cases = tmp_path / "cases"
    date_back(cases)
    assert main(argv) == 0
    assert written_since(cases) == set()
    assert main([*argv, "--positive_weight", "1"]) == 2
    assert "a report with another positive weight (50" in capsys.readouterr().err


@pytest.mark.usefixtures("short", "no_figures")
def test_what_a_measurement_depends_on(paths, make_base, tmp_path):
    make_base()
    argv = ["-d", "4", "--rho", "0.3", "-o", str(tmp_path), "-np", "1", "-device", "cpu"]
    argv += ["--methods", "correspondence"]
    cases = tmp_path / "cases"
    label = paths.raw / "Dataset004_Tiny" / "labelsTr" / "tr_00.nii.gz"

    def is_measured_again(*more):
        date_back(cases)
        assert main([*argv, *more]) == 0
        return sorted(file.stem for file in written_since(cases) - {cases})

    assert main(argv) == 0
    all_cases = sorted(file.stem for file in cases.iterdir())
    assert is_measured_again() == []
    os.utime(label, ns=(0, 0))
    assert is_measured_again() == [case_id for case_id in all_cases if case_id == "tr_00"]
    assert is_measured_again("--overwrite") == all_cases


@pytest.mark.parametrize("name", ["quality.csv", "worst.png", "cases"])
def test_files_of_others_are_not_replaced(make_base, tmp_path, capsys, name):
    make_base()
    output = tmp_path / "report"
    output.mkdir()
    (output / name).write_text("mine")
    argv = ["-d", "4", "--rho", "0.3", "-o", str(output), "-np", "1", "--methods", "nearest"]
    assert main(argv) == 2
    assert f"{name} is there already: choose another folder" in capsys.readouterr().err
    assert (output / name).read_text("utf-8") == "mine"


def test_options_of_a_network_that_is_not_used_are_refused(make_base, tmp_path, capsys):
    make_base()
    argv = ["-d", "4", "-o", str(tmp_path), "--methods", "nearest", "--preset", "full"]
    assert main(argv) == 2
    assert "--preset is for correspondence, which" in capsys.readouterr().err
    argv = [*argv[:-3], "published", "--preset", "full"]
    assert main(argv) == 2
    assert "--preset is for correspondence, which" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["--rho", "1.5"], "rho must lie in (0, 1], got 1.5"),
        (["--selector", "nope"], "unknown selector 'nope'"),
        (["-device", "quantum"], "device 'quantum' cannot be used"),
    ],
)
def test_bad_arguments(make_base, tmp_path, monkeypatch, capsys, argv, message):
    make_base()
    monkeypatch.chdir(tmp_path)
    assert main(["-d", "4", "-np", "1", *argv]) == 2
    assert message in capsys.readouterr().err
    assert not list(tmp_path.glob("*interpolation"))


@pytest.mark.usefixtures("short", "no_figures")
def test_a_trained_network_beside_other_methods(paths, make_base, tmp_path, capsys):
    make_base(num_train=5)
    model = write_model(paths.results, sharpness=20)
    argv = ["-d", "4", "--rho", "0.2", "0.5", "-o", str(tmp_path), "-np", "1", "-device", "cpu"]
    argv += ["--methods", "network", "nearest"]
    assert main(argv) == 2
    assert "--model and network of --methods go together" in capsys.readouterr().err
    assert main([*argv[:-2], "nearest", "--model", str(model)]) == 2
    assert "--model and network of --methods go together" in capsys.readouterr().err
    assert main([*argv, "--model", str(model)]) == 0
    name = f"network_{TrainedNetwork.open(model).digest[:8]}"
    shown = capsys.readouterr().out
    for way in (name, "nearest"):
        assert f"| 0.2 | {way} | mean | 0." in shown
    cases = tmp_path / "cases"
    date_back(cases)
    assert main([*argv, "--model", str(model)]) == 0
    assert written_since(cases) == set()
    other = write_model(tmp_path, plans(patch=(8, 8)))
    assert main([*argv, "--model", str(other)]) == 2
    assert "holds a report with another methods" in capsys.readouterr().err
