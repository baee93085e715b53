import json
from pathlib import Path

import pytest
from training_fixtures import CASES, TINY

from nnunet_sparse.data.raw_dataset import RawDataset
from nnunet_sparse.planners.planning_input import read_base_name, trained_cases
from nnunet_sparse.system.errors import SparseError


def test_trained_cases(tiny_paths):
    raw = RawDataset.open(tiny_paths.raw / TINY)
    file = raw.folder / "splits_final.json"
    assert trained_cases(raw) == tuple(CASES[:6])
    folds = [{"train": ["case_7"], "val": ["case_1"]}, {"train": ["case_1"], "val": ["case_7"]}]
    file.write_text(json.dumps(folds))
    assert trained_cases(raw) == ("case_1", "case_7")
    file.write_text(json.dumps([{"train": ["x"], "val": []}]))
    with pytest.raises(SparseError, match=r"no fold of .*splits_final.json trains on a case"):
        trained_cases(raw)
    file.unlink()
    assert trained_cases(raw) == tuple(CASES)


def test_the_base_of_a_variant(tmp_path: Path) -> None:
    assert read_base_name(tmp_path) is None
    (tmp_path / "selection.json").write_text('{"base": "Dataset001_A", "version": 99}')
    assert read_base_name(tmp_path) == "Dataset001_A"


@pytest.mark.parametrize("base", [None, 5, "", ".", "..", "../A", "/raw/A", "a/../b", "a\0b", []])
def test_what_is_no_name_of_a_folder_is_no_base(tmp_path: Path, base: object) -> None:
    (tmp_path / "selection.json").write_text(json.dumps({"base": base}))
    assert read_base_name(tmp_path) is None
