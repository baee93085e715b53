"""Calling nnU-Net's planning code: quiet, and with errors of one line."""

import contextlib
import io
import os
from collections.abc import Iterator
from typing import Any

from nnunet_sparse.system.errors import SparseError


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


def reader_class(dataset_json: dict[str, Any], image: str) -> Any:
    """nnU-Net's reader of a data set, without the tracebacks of those that do not take its images.

    Parameters
    ----------
    dataset_json
        Content of ``dataset.json``.
    image
        One of the images.
    """
    from nnunetv2.imageio.reader_writer_registry import determine_reader_writer_from_dataset_json

    with contextlib.redirect_stderr(io.StringIO()):
        return determine_reader_writer_from_dataset_json(dataset_json, image, verbose=False)


def positive_thread_number() -> dict[str, str]:
    """Variable that hides ``nnUNet_n_proc_DA=0``, which nnU-Net's planner would hand to torch."""
    name = "nnUNet_n_proc_DA"
    return {name: "1"} if os.environ.get(name) == "0" else {}
