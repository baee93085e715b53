from pathlib import Path

import pytest

from nnunet_sparse.dataset_tools.convert.spacing_table import read_spacings
from nnunet_sparse.system.errors import SparseError


@pytest.mark.parametrize(
    "text",
    [
        "case,z,y,x\nlits_028,1.6,0.57,0.58\n",
        "\ufeffcase;x;y;z;remark\r\nlits_028;0,58;0,57;1,6;Excel\r\n",
        "z\ty\tx\tcase\n1.6\t0.57\t0.58\t lits_028 \n",
    ],
)
def test_dialects_of_spreadsheets(tmp_path: Path, text: str) -> None:
    file = tmp_path / "spacings.csv"
    file.write_text(text, encoding="utf-8")
    assert read_spacings(file) == {"lits_028": (1.6, 0.57, 0.58)}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"case,z,y\na,1,1\n", "lacks the column x"),
        (b"", "lacks the column case"),
        (b"case,z,y,x\na,1,1,0\n", "line 2: x must be a number of mm above 0, got '0'"),
        (b"case,z,y,x\na,1,1\n", "line 2: x must be a number of mm above 0, got ''"),
        (b"case,z,y,x\na,1,nan,1\n", "line 2: y must be"),
        (b"case,z,y,x\na,1,1,1,1\n", "line 2 has more cells"),
        (b"case,z,y,x\na,1,1,1\na,1,1,2\n", "line 3: case a is there twice"),
        (b"\xff\xfe\x00", "is damaged"),
        (b"PK\x03\x04", "is a workbook"),
    ],
)
def test_what_is_no_table_of_spacings(tmp_path: Path, content: bytes, message: str) -> None:
    file = tmp_path / "spacings.csv"
    file.write_bytes(content)
    with pytest.raises(SparseError, match=rf"spacings\.csv,? ?{message}"):
        read_spacings(file)


def test_a_missing_table(tmp_path: Path) -> None:
    with pytest.raises(SparseError, match=r"none\.csv cannot be read: No such file"):
        read_spacings(tmp_path / "none.csv")
