import json
from types import SimpleNamespace

import pytest

from nnunet_sparse.errors import SparseError
from nnunet_sparse.planners.sparse_planner import SparsePlanner, read_slice_axis


def transpose(folder, suppress=False):
    planner = SimpleNamespace(raw_dataset_folder=str(folder), suppress_transpose=suppress)
    return SparsePlanner.determine_transpose(planner)


@pytest.mark.parametrize(
    ("axis", "forward", "backward"),
    [(0, [0, 1, 2], [0, 1, 2]), (1, [1, 0, 2], [1, 0, 2]), (2, [2, 0, 1], [1, 2, 0])],
)
def test_slice_axis_comes_first(tmp_path, axis, forward, backward):
    (tmp_path / "selection.json").write_text(json.dumps({"axis": axis}))
    assert transpose(tmp_path) == (forward, backward)


def test_dense_data_set_has_no_slice_axis(tmp_path):
    assert read_slice_axis(tmp_path) is None


@pytest.mark.parametrize("content", ["{", "{}", "[]", '{"axis": 3}', '{"axis": "axial"}'])
def test_bad_axis(tmp_path, content):
    (tmp_path / "selection.json").write_text(content)
    with pytest.raises(SparseError, match="must name the slice axis"):
        read_slice_axis(tmp_path)
