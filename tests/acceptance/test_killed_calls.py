"""What killed calls of commit 8f674e5 have left is gone on with, or out of the way."""

import json
import os
import shutil
from pathlib import Path

import pytest
from acceptance.archive import unpack
from acceptance.commands import PATHS, nothing_changes, run, work_in
from acceptance.halfway import ANNOTATE, CALLS, FOLDER, Killed, annotate_most
from PIL import Image

BASE = "Dataset500_PhantomOrgan"


@pytest.mark.parametrize("call", CALLS, ids=lambda call: call.name)
def test_a_call_that_was_killed_goes_on(
    call: Killed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It ends as one that was not disturbed, under the same ID, and leaves nothing over."""
    unpack(tmp_path, only=f"{FOLDER}/{call.name}")
    wild, calm = tmp_path / FOLDER / call.name, tmp_path / "calm" / call.name
    for part in ("scans", "truth", "ATLAS_2", *(f"{path}/{BASE}" for path in PATHS)):
        if (wild / part).is_dir():
            shutil.copytree(wild / part, calm / part)
    work_in(calm, monkeypatch)
    for line in (*call.before, call.again or call.command):
        annotate_most() if line == ANNOTATE else run(line)
    work_in(wild, monkeypatch)
    run(call.again or call.command)
    assert not list(wild.rglob(".nnsparse_*"))
    if call.is_comparable:
        assert contents(wild) == contents(calm)
    else:
        with nothing_changes(wild):
            run(call.again or call.command)


def contents(folder: Path) -> dict[str, bytes]:
    """Every file with what it holds, but for the folder's own path and the versions of software.

    Of pictures what they show; how they are compressed has changed.
    """
    found = {}
    for path in sorted(folder.rglob("*")):
        content = path.read_bytes() if path.is_file() else b""
        if path.suffix == ".json" and path.is_file():
            document = json.loads(content)
            if isinstance(document, dict):
                document.pop("software", None)
            content = json.dumps(document).encode()
        elif path.suffix == ".png":
            with Image.open(path) as picture:
                content = f"{picture.mode} {picture.size}".encode() + picture.tobytes()
        found[str(path.relative_to(folder))] = content.replace(os.fsencode(folder), b"")
    return found
