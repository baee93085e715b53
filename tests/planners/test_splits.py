import json

import pytest
from training_fixtures import CASES, TINY

from nnunet_sparse.data.raw_dataset import RawDataset
from nnunet_sparse.planners.splits import trained_cases
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
