import json
from pathlib import Path

import pytest

from nnunet_sparse.planners.base_name import read_base_name


def test_the_base_of_a_variant(tmp_path: Path) -> None:
    assert read_base_name(tmp_path) is None
    (tmp_path / "selection.json").write_text('{"base": "Dataset001_A", "version": 99}')
    assert read_base_name(tmp_path) == "Dataset001_A"


@pytest.mark.parametrize("base", [None, 5, "", ".", "..", "../A", "/raw/A", "a/../b", "a\0b", []])
def test_what_is_no_name_of_a_folder_is_no_base(tmp_path: Path, base: object) -> None:
    (tmp_path / "selection.json").write_text(json.dumps({"base": base}))
    assert read_base_name(tmp_path) is None
