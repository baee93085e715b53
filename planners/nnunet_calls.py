"""Calling nnU-Net's planning code: quiet, with errors of one line, and with folders of our own."""

import contextlib
import io
import os
from collections.abc import Iterator, Mapping

from nnunet_sparse.errors import SparseError


@contextlib.contextmanager
def quiet(what: str) -> Iterator[None]:
    """Run nnU-Net's code without its printing, and turn its errors into one line."""
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            yield
    except SparseError:
        raise
    except OSError as error:
        reason = f"{error.filename or ''} {error.strerror or error}".strip()
        raise SparseError(f"nnU-Net failed at {what}: {reason}") from error
    except Exception as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise SparseError(f"nnU-Net failed at {what}: {reason}") from error


@contextlib.contextmanager
def environment(variables: Mapping[str, str]) -> Iterator[None]:
    """Set environment variables for a while; nnU-Net reads its folders from them at each use."""
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def positive_thread_number() -> dict[str, str]:
    """Variable that hides ``nnUNet_n_proc_DA=0``, which nnU-Net's planner would hand to torch."""
    name = "nnUNet_n_proc_DA"
    return {name: "1"} if os.environ.get(name) == "0" else {}
