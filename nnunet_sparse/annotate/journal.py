"""What a session must not lose: strokes and decisions that are not in the label yet.

Beside the label, as ``.CASE.SESSION.nnsparse_journal``: a line for each record, which begins with
its checksum, so that a line that a kill has torn is told from others. A record replaces those of
its slice and kind before it.
"""

import base64
import json
import math
import operator
import os
import re
import zlib
from collections.abc import Collection, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from nnunet_sparse.annotate.slice_work import Decision, Draft
from nnunet_sparse.system.atomic import atomic_path
from nnunet_sparse.system.errors import SparseError, naming
from nnunet_sparse.system.json_files import parse_json

_ENDING = "nnsparse_journal"
_TOKEN = r"[0-9a-f]{8}"


@dataclass
class Unsaved:
    """Work on a volume that is not in its label.

    Attributes
    ----------
    drafts
        By slice.
    decisions
        By slice, in the order in which they were taken.
    seconds
        Time at work by slice that is not part of a decision.
    """

    drafts: dict[int, Draft] = field(default_factory=dict)
    decisions: dict[int, Decision] = field(default_factory=dict)
    seconds: dict[int, float] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.drafts or self.decisions or any(self.seconds.values()))


class Journal:
    """Writes the records of one session on one volume.

    Nothing is written before there is a record; without work that is not saved there is no file.

    Parameters
    ----------
    folder
        Folder of the label.
    case_id
        Its case.
    token
        Eight hexadecimal digits that no other session has.
    """

    def __init__(self, folder: Path, case_id: str, token: str) -> None:
        self.file = folder / f".{case_id}.{token}.{_ENDING}"
        self._descriptor: int | None = None
        self._is_whole = False

    def draft(self, index: int, draft: Draft | None, unsaved: Unsaved) -> None:
        """Write how a slice looks; None for one that looks as it was saved.

        Parameters
        ----------
        index
            The slice.
        draft
            What is painted on it.
        unsaved
            All that is to be kept, written anew where an earlier record could not be written.

        Raises
        ------
        OSError
            If it cannot be written, as on a full disk; naming the file.
        """
        self._add(_draft_record(index, draft, unsaved.seconds.get(index, 0.0)), unsaved)

    def decide(self, index: int, decision: Decision, unsaved: Unsaved) -> None:
        """Write a decision, so that it survives a power failure as well; otherwise as a draft."""
        self._add(_decision_record(index, decision), unsaved)
        if self._descriptor is not None:
            with naming(self.file), suppress(OSError):
                os.fsync(self._descriptor)

    def keep(self, unsaved: Unsaved) -> None:
        """Bring the file to what is left: without records that are saved, or gone if all are.

        Raises
        ------
        OSError
            If it cannot be written; naming the file.
        """
        self.close()
        if not unsaved:
            self.file.unlink(missing_ok=True)
            return
        with atomic_path(self.file, self.file.parent.parent) as temporary:
            temporary.write_bytes(b"".join(_lines_of(unsaved)))
        self._is_whole = True

    def close(self) -> None:
        """Let go of the file, which stays."""
        if self._descriptor is not None:
            os.close(self._descriptor)
        self._descriptor, self._is_whole = None, False

    def _add(self, record: Mapping[str, Any], unsaved: Unsaved) -> None:
        if self._descriptor is not None and not os.fstat(self._descriptor).st_nlink:
            # another session has taken the file over
            self.keep(unsaved)
            return
        if not self._is_whole and self.file.exists():
            # something could not be written before
            self.keep(unsaved)
            return
        line = _line(record)
        with naming(self.file):
            if self._descriptor is None:
                flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND
                self._descriptor = os.open(self.file, flags, 0o666)
            try:
                written = os.write(self._descriptor, line)
                while written < len(line):
                    written += os.write(self._descriptor, line[written:])
            except OSError:
                self.close()
                raise
        self._is_whole = True


def find_journals(folder: Path, case_id: str) -> list[Path]:
    """Journals that sessions have left of a case, oldest first."""
    pattern = re.compile(rf"\.{re.escape(case_id)}\.{_TOKEN}\.{_ENDING}")
    found = [path for path in folder.iterdir() if pattern.fullmatch(path.name)]
    return sorted(found, key=lambda path: (path.stat().st_mtime_ns, path.name))


def read_journal(
    file: Path, shape: tuple[int, ...], dtype: np.dtype[Any], labels: Collection[int]
) -> Unsaved:
    """Read what a session has left; torn records are passed over.

    Parameters
    ----------
    file
        The journal.
    shape
        Of a slice.
    dtype
        Of the label.
    labels
        All values that it may hold.

    Raises
    ------
    SparseError
        If it is of slices of another shape, holds other values, or was not written by a session:
        it does not belong to this campaign.
    """
    unsaved = Unsaved()
    for line in file.read_bytes().split(b"\n"):
        check, _, text = line.partition(b" ")
        if check != b"%08x" % zlib.crc32(text):
            continue
        try:
            _take(parse_json(text.decode("utf-8")), unsaved, shape, dtype, labels)
        except (KeyError, TypeError, ValueError, AttributeError, zlib.error) as error:
            raise SparseError(
                f"{file} holds strokes that are not on slices of this campaign; move it away if "
                "they are not needed"
            ) from error
    return unsaved


def _take(
    record: Mapping[str, Any],
    unsaved: Unsaved,
    shape: tuple[int, ...],
    dtype: np.dtype[Any],
    labels: Collection[int],
) -> None:
    """Bring a record into what was read before it."""
    index = operator.index(record["slice"])
    if record["kind"] == "seconds":
        unsaved.seconds[index] = float(record["seconds"])
        return
    unsaved.seconds[index] = float(record.get("unwritten", 0.0))
    if record["plane"] is None:
        unsaved.drafts.pop(index, None)
        return
    size = math.prod(shape) * dtype.itemsize
    content = zlib.decompressobj().decompress(base64.b64decode(record["plane"]), size + 1)
    if len(content) != size:
        raise ValueError("a slice of another shape")
    plane = np.frombuffer(content, dtype).reshape(shape).copy()
    if not np.isin(plane, list(labels)).all():
        raise ValueError("a value that is no label")
    if record["kind"] == "draft":
        unsaved.drafts[index] = Draft(
            plane,
            record["base"],
            record["annotator"],
            record["suggestion"],
            str(record.get("origin", "")),  # not written by earlier versions
        )
        return
    unsaved.drafts.pop(index, None)
    unsaved.decisions.pop(index, None)
    unsaved.decisions[index] = Decision.from_json(record["decision"], plane)


def _lines_of(unsaved: Unsaved) -> Iterator[bytes]:
    for index, decision in unsaved.decisions.items():
        yield _line(_decision_record(index, decision))
    for index, draft in unsaved.drafts.items():
        yield _line(_draft_record(index, draft, 0.0))
    for index, seconds in unsaved.seconds.items():
        if seconds:
            yield _line({"kind": "seconds", "slice": index, "seconds": seconds})


def _draft_record(index: int, draft: Draft | None, seconds: float) -> dict[str, Any]:
    record: dict[str, Any] = {"kind": "draft", "slice": index, "unwritten": seconds, "plane": None}
    if draft is None:
        return record
    return record | {
        "plane": _text(draft.plane),
        "base": draft.base,
        "annotator": draft.annotator,
        "suggestion": draft.suggestion,
        "origin": draft.origin,
    }


def _decision_record(index: int, decision: Decision) -> dict[str, Any]:
    return {
        "kind": "decision",
        "slice": index,
        "plane": _text(decision.plane),
        "decision": decision.to_json(),
    }


def _text(plane: np.ndarray) -> str:
    return base64.b64encode(zlib.compress(np.ascontiguousarray(plane).tobytes(), 1)).decode()


def _line(record: Mapping[str, Any]) -> bytes:
    text = json.dumps(record).encode()
    # a line end before it as well: what a kill has torn stays a line of its own
    return b"\n%08x %s\n" % (zlib.crc32(text), text)
