import errno
import fcntl
import json
import multiprocessing
import os
import re
import sys
from multiprocessing.synchronize import Event
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from plain_file_systems import LACKING, failing, without
from waiting import GUARD_S

from nnunet_sparse.system.atomic import (
    atomic_path,
    canonical_json,
    remove_leftovers,
    write_json,
    write_once,
)

scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text()
)
_NUM_WRITES = 300
documents = st.recursive(
    scalars, lambda d: st.lists(d) | st.dictionaries(st.text(), d), max_leaves=20
)


@given(documents)
def test_canonical_json_is_json(content: object) -> None:
    assert json.loads(canonical_json(content)) == content


def test_canonical_json_layout() -> None:
    text = canonical_json({"b": [1, 2.5], "a": {"y": [], "x": [[1], [2]]}})
    assert text == (
        '{\n  "a": {\n    "x": [\n      [1],\n      [2]\n    ],\n    "y": []\n  },\n'
        '  "b": [1, 2.5]\n}\n'
    )


def test_canonical_json_keeps_the_order_on_request() -> None:
    assert canonical_json({"b": 1, "a": 2}, sort_keys=False).index('"b"') < 5


def test_canonical_json_refuses_nan() -> None:
    with pytest.raises(ValueError, match="JSON"):
        canonical_json({"a": float("nan")})


def test_failed_write_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    file = tmp_path / "a.json"
    write_json(file, {"a": 1})
    with pytest.raises(RuntimeError), atomic_path(file) as temporary:  # noqa: PT012
        temporary.write_text("half")
        raise RuntimeError
    assert json.loads(file.read_text("utf-8")) == {"a": 1}
    assert list(tmp_path.iterdir()) == [file]


def test_leftovers_of_killed_writers_are_removed(tmp_path):
    others = [
        ".nnsparse_nnsparsePlans_2d",
        ".nnsparse.lock",
        ".nnsparse_short",
        "nnsparse_a1b2c3d4",
    ]
    for name in (".nnsparse_a1b2c3_4", *others):
        (tmp_path / name).mkdir()
    (tmp_path / ".nnsparse_abcdefgh").touch()
    remove_leftovers(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {*others, ".nnsparse_abcdefgh"}


def _write_often(path: Path, number: int) -> None:
    for _ in range(_NUM_WRITES):
        write_json(path, [number] * 1000)


def _read_all_the_time(path: Path, stop: Event) -> None:
    while not stop.is_set():
        content = json.loads(path.read_text(encoding="utf-8"))
        assert content == content[:1] * 1000


@pytest.mark.parametrize("number", [0, errno.ENOSYS, errno.ENOLCK])
def test_writers_of_one_file_do_not_disturb_each_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    """Whoever reads it meanwhile sees what one of them has written, whole."""
    if number:
        monkeypatch.setattr(fcntl, "flock", failing(number))
        monkeypatch.setattr(sys.modules[__name__], "_NUM_WRITES", 20)
    path, context = tmp_path / "file.json", multiprocessing.get_context("fork")
    write_json(path, [0] * 1000)
    stop = context.Event()
    reader = context.Process(target=_read_all_the_time, args=(path, stop))
    writers = [context.Process(target=_write_often, args=(path, n)) for n in range(4)]
    for process in (reader, *writers):
        process.start()
    for process in writers:
        process.join(GUARD_S)
    stop.set()
    reader.join(GUARD_S)
    assert [process.exitcode for process in (reader, *writers)] == [0] * 5
    assert [file.name for file in tmp_path.iterdir()] == ["file.json"]


def _write_once(path: Path, number: int, go: Event) -> None:
    go.wait()
    os._exit(write_once(path, str(number) * 1000))


@pytest.mark.parametrize("lacking", [(), *LACKING.values()])
def test_one_of_many_writers_writes_a_file_once(tmp_path: Path, lacking: tuple[str, ...]) -> None:
    path, context = tmp_path / "file", multiprocessing.get_context("fork")
    go = context.Event()
    with without(*lacking):
        writers = [context.Process(target=_write_once, args=(path, n, go)) for n in range(6)]
        for process in writers:
            process.start()
    go.set()
    for process in writers:
        process.join(GUARD_S)
    wrote = [n for n, process in enumerate(writers) if process.exitcode == 1]
    assert len(wrote) == 1
    assert path.read_text("utf-8") == str(wrote[0]) * 1000
    assert [file.name for file in tmp_path.iterdir()] == ["file"]


def _killed_while_writing(path: Path) -> None:
    Path.replace = lambda *_: os._exit(9)  # type: ignore[method-assign]
    write_once(path, "first")


@pytest.mark.parametrize("lacking", [(), *LACKING.values()])
def test_what_is_written_once_survives_a_kill(tmp_path: Path, lacking: tuple[str, ...]) -> None:
    path = tmp_path / "file"
    with without(*lacking):
        killed = multiprocessing.get_context("fork").Process(
            target=_killed_while_writing, args=(path,)
        )
        killed.start()
        killed.join(GUARD_S)
        assert (killed.exitcode, path.exists()) == (9, False)
        assert write_once(path, "second")
    assert path.read_text("utf-8") == "second"
    assert [file.name for file in tmp_path.iterdir()] == ["file"]


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EFBIG, errno.EDQUOT, errno.EIO])
def test_errors_name_the_file_that_was_written(tmp_path: Path, number: int) -> None:
    file = tmp_path / "a.json"
    with pytest.raises(OSError, match=re.escape(str(file))), atomic_path(file):
        raise OSError(number, os.strerror(number))  # as writing to an open file does
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("target", ["precious", "nothing", "new", "pipe"])
@pytest.mark.parametrize(
    "where", [".nnsparse_new_new", ".nnsparse_new_new/new", ".nnsparse_once_new"]
)
def test_links_of_strangers_are_not_followed(tmp_path: Path, where: str, target: str) -> None:
    """They lie where the temporary file would, in a folder that came from them."""
    precious, folder = tmp_path / "precious", tmp_path / "theirs"
    for name in ("new", "deep"):
        (precious / name).parent.mkdir(exist_ok=True)
        (precious / name).write_text("mine", encoding="utf-8")
    (folder / where).parent.mkdir(parents=True)
    if target == "pipe":
        os.mkfifo(folder / where)
    elif target == "precious" and "/" not in where and "once" not in where:
        (folder / where).symlink_to(precious)
    else:
        (folder / where).symlink_to(precious / target.replace("precious", "deep"))
    if "once" in where:
        assert write_once(folder / "new", "theirs")
    else:
        with atomic_path(folder / "new") as temporary:
            temporary.write_text("theirs", encoding="utf-8")
    assert [path.name for path in folder.iterdir()] == ["new"]
    assert not (folder / "new").is_symlink()
    assert (folder / "new").read_text("utf-8") == "theirs"
    assert sorted(path.name for path in precious.iterdir()) == ["deep", "new"]
    assert all(path.read_text("utf-8") == "mine" for path in precious.iterdir())
