from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from grid_results import result

from nnunet_sparse.grid.results import Result
from nnunet_sparse.report.grid.kept_results import (
    check_free_for_results,
    read_kept_results,
    write_kept_results,
)
from nnunet_sparse.report.grid.panels import AskedTraining
from nnunet_sparse.system.errors import SparseError


def every_kind() -> list[Result]:
    """Results of which each has something particular."""
    two_labels = np.stack([np.tile([5, 1, 2], (3, 1)), np.tile([7, 0, 0], (3, 1))])
    return [
        result(0.9, rho=1.0, s=1.0, kind="dense", key="a", label="organ"),
        result(0.5, rho=0.1, s=0.25, seed=3, repeat=2, key="b", label="organ", HD95_mm=None),
        result(
            0.5, selector="ual", parameters={"clusters": 5}, mae="small", key="c", scope="dataset"
        ),
        result(0.5, interpolation="shape", kind="interpolated", key="d", positive_weight=2.5),
        result(0.5, slices_per_volume=4, key="e", label="=SUM(A1)", training_s=None),
        result(counts=two_labels, budget=120, key="f"),
        replace(result(0.0, key="f", label="organ", budget=120), is_target=False),
    ]


def asked_for(results: list[Result]) -> list[AskedTraining]:
    """All of them; dense annotation is a cell of the grid, too."""
    asked = [AskedTraining.of_result(one) for one in results]
    return [*asked, replace(asked[0], kind="sparse")]


def test_what_was_written_is_read_again(tmp_path: Path) -> None:
    file, results = tmp_path / "kept.csv", every_kind()
    asked = [replace(one, is_extra=one.kind == "interpolated") for one in asked_for(results)]
    write_kept_results(results, asked, file)
    again, trainings = read_kept_results([file])
    assert again == results
    for one, other in zip(again, results, strict=True):
        np.testing.assert_array_equal(one.counts, other.counts)
        assert (one.is_target, one.is_mean) == (other.is_target, other.is_mean)
    assert set(trainings) == set(asked)
    extra = {training.panel for training in asked if training.is_extra}
    assert {training.panel for training in trainings if training.is_extra} == extra
    before = file.read_bytes()
    write_kept_results(again, trainings, file)
    assert file.read_bytes() == before


def test_its_first_columns_are_those_of_the_table_of_results(tmp_path: Path) -> None:
    file = tmp_path / "kept.csv"
    write_kept_results([result(0.5)], [], file)
    header, row = file.read_text("utf-8").splitlines()
    assert header.startswith("task,configuration,trainer,plans,repeat,kind,rho,")
    assert header.endswith(",kinds,is_extra,is_target,factors,counts")
    assert row.startswith("Hippocampus,2d,SparseTrainer,nnsparsePlans,0,sparse,0.2,")
    assert row.endswith(";".join(["500 0 500"] * 10))


def test_results_of_several_experiments(tmp_path: Path) -> None:
    shared = result(0.5, key="shared")
    write_kept_results([shared, result(0.6, key="a")], [], tmp_path / "a.csv")
    write_kept_results([shared, result(0.7, key="b")], [], tmp_path / "b.csv")
    results, _ = read_kept_results([tmp_path / "a.csv", tmp_path / "b.csv"])
    assert [one.key for one in results] == ["shared", "a", "b"]
    write_kept_results([result(0.4, key="shared")], [], tmp_path / "b.csv")
    with pytest.raises(SparseError, match=r"b\.csv: shared has other scores than in another file"):
        read_kept_results([tmp_path / "a.csv", tmp_path / "b.csv"])


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (",counts\n", ",count\n", "has no column counts: tables that can be read again"),
        ("500 0 500;", "500 0;", "line 2: it was not written by this program"),
        ("500 0 500;", "500 0 -1;", "three numbers of voxels for each test case"),
        ("500 0 500;", f"500 0 {10**30};", "line 2: "),
        ("500 0 500;", "500 0 x;", "line 2: "),
        ('""rho""', '""roh""', "line 2: "),
        ('"{""', '"[""', "line 2: "),
        ("True", "yes", "line 2: "),
        (",0.2,", ",0.2,1,", "line 2: "),
    ],
)
def test_what_is_damaged_is_refused(tmp_path: Path, old: str, new: str, message: str) -> None:
    file = tmp_path / "kept.csv"
    write_kept_results([result(0.5, key="a")], [], file)
    text = file.read_text("utf-8")
    assert old in text
    file.write_text(text.replace(old, new, 1), "utf-8")
    with pytest.raises(SparseError, match=message) as caught:
        read_kept_results([file])
    assert str(file) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("content", [b"", b"\xff\xfe", b"a,b\n1,2\n", b'task\n"open'])
def test_other_files_are_refused(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "other.csv"
    file.write_bytes(content)
    with pytest.raises(SparseError, match=r"other\.csv"):
        read_kept_results([file])
    with pytest.raises(SparseError, match="is something else than kept results"):
        check_free_for_results(file)
    with pytest.raises(SparseError, match="cannot read"):
        read_kept_results([tmp_path / "none.csv"])


def test_only_kept_results_are_replaced(tmp_path: Path) -> None:
    file = tmp_path / "kept.csv"
    check_free_for_results(file)
    write_kept_results([result(0.5)], [], file)
    check_free_for_results(file)
    with pytest.raises(SparseError, match=r"ends in \.csv"):
        check_free_for_results(tmp_path / "kept.txt")
    (tmp_path / "folder.csv").mkdir()
    with pytest.raises(SparseError, match="is a folder"):
        check_free_for_results(tmp_path / "folder.csv")
