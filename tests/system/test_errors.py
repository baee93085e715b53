import errno
import os
from pathlib import Path

import pytest

from nnunet_sparse.system.errors import naming, os_error_message


def error_of(number: int, *names: str | None) -> OSError:
    return OSError(number, os.strerror(number), *names)


def test_messages_name_the_files() -> None:
    assert os_error_message(error_of(errno.EFBIG, "a")) == "a: File too large"
    assert os_error_message(error_of(errno.EPERM, "a", None, "b")).startswith("a -> b: Operation")
    assert os_error_message(error_of(errno.EMFILE, "a")) == "a: Too many open files"


def test_too_many_files_without_a_name_say_what_helps() -> None:
    """Pipes between processes have none."""
    for number in (errno.EMFILE, errno.ENFILE):
        said = os_error_message(error_of(number))
        assert "ulimit -n" in said
        assert "--num_processes" in said


@pytest.mark.parametrize("number", [errno.EFBIG, errno.EPERM, errno.ENOSPC])
def test_errors_without_a_name_get_one(number: int) -> None:
    with pytest.raises(OSError, match=os.strerror(number)) as raised, naming(Path("a")):
        raise error_of(number)
    assert raised.value.filename == "a"
    with pytest.raises(OSError, match="b") as raised, naming(Path("a")):
        raise error_of(number, "b")
    assert raised.value.filename == "b"
