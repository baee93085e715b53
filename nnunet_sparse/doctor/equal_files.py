"""Test cases that train: named by a split, or whose files are training files."""

import hashlib
from collections.abc import Iterable
from pathlib import Path

from nnunet_sparse.data.raw_dataset import SELECTION_FILE
from nnunet_sparse.data.split import SPLIT_FILE
from nnunet_sparse.doctor.subject import Subject
from nnunet_sparse.system.json_files import load_json

_CHUNK = 2**20


def find_equal_files(test: Iterable[Path], training: Iterable[Path]) -> dict[Path, Path]:
    """Find test files with the content of a training file.

    Only files of equal size are read. Files that do not exist are equal to none.

    Returns
    -------
    dict of Path to Path
        Training file of every test file that has one.
    """
    by_size: dict[int, list[Path]] = {}
    for file in training:
        if file.is_file():
            by_size.setdefault(file.stat().st_size, []).append(file)
    digests: dict[Path, str] = {}
    equal = {}
    for file in test:
        candidates = by_size.get(file.stat().st_size, []) if file.is_file() else []
        for candidate in candidates:
            if file.samefile(candidate) or _digest(file, digests) == _digest(candidate, digests):
                equal[file] = candidate
                break
    return equal


def declared_test_cases(subject: Subject) -> dict[str, list[str]]:
    """Test cases named by the split of the data set or of its base, by file."""
    base = _read(subject.raw.folder / SELECTION_FILE).get("base")
    names = [subject.raw.name, *([base] if isinstance(base, str) else [])]
    files = [subject.paths.preprocessed / name / SPLIT_FILE for name in names]
    found = {str(file): _read(file).get("test") for file in files}
    return {file: cases for file, cases in found.items() if isinstance(cases, list)}


def _read(file: Path) -> dict[str, object]:
    try:
        content = load_json(file)
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def _digest(file: Path, known: dict[Path, str]) -> str:
    if file not in known:
        digest = hashlib.sha256()
        with file.open("rb") as stream:
            while chunk := stream.read(_CHUNK):
                digest.update(chunk)
        known[file] = digest.hexdigest()
    return known[file]
