import pytest
from hostile.hostile_names import STRANGE, UNUSABLE

from nnunet_sparse.system.errors import SparseError
from nnunet_sparse.system.file_names import check_ending, check_file_name, is_file_name, is_text


@pytest.mark.parametrize("name", [*UNUSABLE.values(), None, 3, ["a"]])
def test_what_is_no_component_of_a_path_is_refused(name: object) -> None:
    with pytest.raises(SparseError, match=r"^file: a case") as raised:
        check_file_name(name, "file: a case")
    assert str(raised.value).isprintable()
    assert not is_file_name(name)


@pytest.mark.parametrize("name", [*STRANGE.values(), "case_001", "a.b", "...", ".a"])
def test_other_names_are_taken(name: str) -> None:
    assert check_file_name(name, "a case") == name


@pytest.mark.parametrize("ending", ["nii", "", "/../a.nii", "./a", ".nii\n", ".\0"])
def test_endings_stay_endings(ending: str) -> None:
    with pytest.raises(SparseError, match="file_ending"):
        check_ending(ending, "file_ending")


def test_bytes_that_are_no_text() -> None:
    assert is_text("\u00fc\U0001f600")
    assert not is_text(b"a\xffb".decode("utf-8", "surrogateescape"))
