import json
import shutil

import pytest

from nnunet_sparse.doctor.subject import open_subject, read_folds
from nnunet_sparse.system.errors import SparseError


def folds_of(toy):
    return [
        (f.name, f.train, f.val) for f in read_folds(open_subject(toy.paths, "600", None, None))
    ]


def test_equal_folds_are_one(toy):
    one, other = {"train": ["a"], "val": ["b"]}, {"train": ["b"], "val": ["a"]}
    toy.splits = [one, other, one]
    toy.write_raw()
    assert folds_of(toy) == [("folds 0, 2", ("a",), ("b",)), ("fold 1", ("b",), ("a",))]


def test_the_split_beside_a_selection_will_be_used(toy):
    toy.write_raw()
    shutil.move(toy.preprocessed / "splits_final.json", toy.raw)
    assert [name for name, *_ in folds_of(toy)] == [f"fold {k}" for k in range(5)]
    (toy.raw / "selection.json").write_text(json.dumps({"axis": 0}))
    assert [name for name, *_ in folds_of(toy)] == ["folds 0-2"]


@pytest.mark.parametrize("text", ["[1]", "[]", "{", '[{"train": "case_0", "val": []}]'])
def test_a_damaged_split_file(toy, text):
    toy.write_raw()
    (toy.preprocessed / "splits_final.json").write_text(text)
    with pytest.raises(SparseError, match=r"splits_final.json (must be a list of|is not valid)"):
        folds_of(toy)


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ({"left": 1, "ignore": 2, "right": 3}, "must be 4, the highest label . 1, got 2"),
        ({"left": 1, "right": 2, "ignore": [3]}, r"must be 3, the highest label . 1, got \[3\]"),
        ({"ignore": 1}, "declares no label but background"),
    ],
)
def test_labels_that_nnunet_refuses(toy, labels, message):
    toy.label_names = {"background": 0} | labels
    toy.write_raw()
    with pytest.raises(SparseError, match=message):
        open_subject(toy.paths, "600", None, None)


def test_later_stages_of_cascades_are_left_out(toy):
    toy.write([])
    file = toy.preprocessed / "nnsparsePlans.json"
    plans = json.loads(file.read_text("utf-8"))
    plans["configurations"]["cascade"] = {
        "inherits_from": "3d_fullres",
        "previous_stage": "3d_lowres",
    }
    file.write_text(json.dumps(plans))
    assert open_subject(toy.paths, "600", None, None).configurations == ("2d", "3d_fullres")
    subject = open_subject(toy.paths, "600", None, "cascade")
    assert subject.data_folder("cascade").name == "nnsparsePlans_3d_fullres"
