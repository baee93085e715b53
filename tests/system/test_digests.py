from pathlib import Path

import pytest

from nnunet_sparse.system.digests import file_digest


def test_the_content_alone_counts(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).write_bytes(b"abc")
        # FIPS 180-2, appendix B.1
        assert file_digest(tmp_path / name) == "ba7816bf8f01cfea"


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError) as error:
        file_digest(tmp_path / "none")
    assert error.value.filename == str(tmp_path / "none")
