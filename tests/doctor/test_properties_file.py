import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nnunet_sparse.doctor.doctor_command import main
from nnunet_sparse.doctor.properties_file import read_properties
from nnunet_sparse.system.errors import SparseError

GOOD: dict[str, Any] = {
    "shape_before_cropping": (np.int64(24), 24, 24),
    "bbox_used_for_cropping": [[0, 24], [1, 24], [0, 24]],
}


class Touch:
    """Unpickled, it makes a file."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.file,)


def test_what_nnunet_writes_is_read(tmp_path: Path) -> None:
    (tmp_path / "a.pkl").write_bytes(pickle.dumps(GOOD | {"class_locations": {1: np.eye(4)}}))
    assert read_properties(tmp_path / "a.pkl")["shape_before_cropping"] == (24, 24, 24)


@pytest.mark.parametrize(
    "content",
    [
        [],
        None,
        {},
        {"shape_before_cropping": (24, 24, 24)},
        GOOD | {"shape_before_cropping": "abc"},
        GOOD | {"shape_before_cropping": 24},
        GOOD | {"shape_before_cropping": (1.5, 2, 3)},
        GOOD | {"bbox_used_for_cropping": [[0, 24], [0]]},
        GOOD | {"bbox_used_for_cropping": [[-1, 24], [0, 1], [0, 1]]},
    ],
)
def test_other_content_is_refused(tmp_path: Path, content: Any) -> None:
    (tmp_path / "a.pkl").write_bytes(pickle.dumps(content))
    with pytest.raises(SparseError, match=r"a\.pkl holds what nnU-Net never writes: "):
        read_properties(tmp_path / "a.pkl")


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_the_doctor_runs_no_code_of_a_data_set(
    toy: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str], protocol: int
) -> None:
    """Neither where it looks at properties, nor where nnU-Net would draw batches of them."""
    toy.write()
    trace = tmp_path / "trace"
    file = toy.preprocessed / "nnsparsePlans_3d_fullres" / "case_1.pkl"
    file.write_bytes(pickle.dumps(GOOD | {"more": Touch(trace)}, protocol))
    assert main(["-d", toy.raw.name, "-c", "3d_fullres", "-np", "1"]) == 1
    printed = capsys.readouterr().out
    assert "what nnU-Net never writes" in printed
    assert "case_1" in printed
    assert not trace.exists()
