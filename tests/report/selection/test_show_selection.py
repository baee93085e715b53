import shutil
from importlib.metadata import EntryPoint

import numpy as np
import pytest
from matplotlib.image import imread
from sparse_datasets import make_dataset
from tiny import tree

from nnunet_sparse.data.split import SplitRequest
from nnunet_sparse.features.feature_store import SliceFeatures
from nnunet_sparse.features.train_mae_command import main as train_mae
from nnunet_sparse.report.selection.coverage import coverage
from nnunet_sparse.report.selection.show_selection import main
from nnunet_sparse.selection.selection import CaseSelection, Selection
from nnunet_sparse.selection.variant import Variant
from nnunet_sparse.selectors import registry

FIGURES = ("slices", "positions", "foreground", "coverage")


@pytest.mark.usefixtures("short")
@pytest.mark.parametrize("scope", ["volume", "dataset"])
def test_four_figures_in_two_formats(paths, make_base, tmp_path, monkeypatch, capsys, scope):
    make_base()
    assert train_mae(["-d", "4", "-device", "cpu", "-np", "1"]) == 0
    made = make_dataset(paths, "4", rho=0.3, selector="ual", scope=scope)
    before = tree(paths.raw)
    monkeypatch.chdir(tmp_path)
    capsys.readouterr()
    assert main(["500", "-np", "1", "-device", "cpu"]) == 0
    captured = capsys.readouterr()
    assert "coverage: 0." in captured.out or "coverage: -0." in captured.out
    assert captured.err == ""
    folder = tmp_path / f"{made.folder.name}_selection"
    assert {file.name for file in folder.iterdir()} == {
        f"{made.folder.name}_{name}.{ending}" for name in FIGURES for ending in ("png", "svg")
    }
    for name in FIGURES:
        assert min(imread(folder / f"{made.folder.name}_{name}.png").shape[:2]) > 150
    first = tree(folder)
    assert main(["500", "-np", "2", "-device", "cpu"]) == 0
    assert tree(folder) == first
    assert tree(paths.raw) == before


@pytest.mark.usefixtures("short")
def test_a_broken_selector_of_another_package_is_left_out(
    paths, make_base, tmp_path, monkeypatch, caplog
):
    make_base()
    make_dataset(paths, "4", rho=0.3, selector="ual")
    point = EntryPoint("broken", "no_such_module:X", registry.ENTRY_POINTS)
    monkeypatch.setattr(registry, "_entry_points", lambda: {"broken": point})
    assert main(["500", "-np", "1", "-device", "cpu", "-o", str(tmp_path)]) == 0
    assert "'broken' of no_such_module:X cannot be loaded" in caplog.text
    assert len(list(tmp_path.glob("*coverage*"))) == 2


def test_volumes_without_a_slice_are_shown(paths, make_base, tmp_path, monkeypatch):
    make_base()
    made = make_dataset(paths, "4", budget=3)
    drawn = []
    monkeypatch.setattr(
        "nnunet_sparse.report.selection.selection_figures.draw_strips",
        lambda *args: drawn.append(args),
    )
    assert main(["500", "-np", "1", "-o", str(tmp_path)]) == 0
    _, lengths, title, _ = drawn[0]
    assert set(lengths) == set(made.split.train)
    assert title.endswith("3 slices in 3 volumes, none in 4")


def test_without_features(paths, make_base, tmp_path, capsys, caplog):
    make_base()
    make_dataset(paths, "4", rho=0.3)
    assert main(["500", "-o", str(tmp_path / "figures"), "-np", "1"]) == 0
    assert "any label: 1.000 of all slices, 1.000 of the chosen ones" in capsys.readouterr().out
    assert "nnsparse_train_mae -d Dataset004_Tiny" in caplog.text
    assert not list((tmp_path / "figures").glob("*coverage*"))


def test_the_split_must_be_that_of_the_selection(paths, make_base, tmp_path, capsys):
    make_base()
    make_dataset(paths, "4", rho=0.3, split=SplitRequest(seed=5))
    shutil.rmtree(paths.preprocessed / "Dataset004_Tiny")
    assert main(["500", "-o", str(tmp_path), "-np", "1"]) == 2
    assert "does not belong to the split of Dataset004_Tiny" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "message"), [("9", "no data set '9'"), ("4", "was not made by nnsparse_make_dataset")]
)
def test_bad_data_sets(make_base, capsys, name, message):
    make_base()
    assert main([name]) == 2
    assert message in capsys.readouterr().err


def test_coverage_by_hand():
    values = {"a": np.array([[1.0, 0], [1, 0], [-1, 0]]), "b": np.array([[0.0, 1], [0, -1]])}
    features = SliceFeatures(values, "x")

    def of(scope, **cases):
        chosen = {c: CaseSelection(len(values[c]), tuple(s)) for c, s in cases.items()}
        variant = Variant(0.5, 1, "fixed", scope=scope)
        return coverage(features, Selection("Base", variant, 0, chosen), ["a", "b"])

    unit = np.concatenate(list(features.standardised().values()))
    unit /= np.linalg.norm(unit, axis=1, keepdims=True)
    similar = unit @ unit.T
    assert of("volume", a=[0], b=[0]) == pytest.approx(
        np.mean([similar[1, 0], similar[2, 0], similar[4, 3]])
    )
    assert of("dataset", a=[0], b=[0]) == pytest.approx(
        np.mean([max(similar[i, 0], similar[i, 3]) for i in (1, 2, 4)])
    )
    assert of("volume", a=[0]) < of("dataset", a=[0])
    assert np.isnan(of("volume", a=[0, 1, 2], b=[0, 1]))
