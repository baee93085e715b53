"""Every file of ours with any value changed: it is read, or refused in one line."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from hostile.hostile_files import (
    FILES,
    NAMES,
    RAW,
    VALUES,
    places,
    removed,
    renamed,
    replaced,
    with_raw,
)
from hostile.readers import READERS, Reader, in_folder
from hypothesis import given, settings
from hypothesis import strategies as st

from nnunet_sparse.system.errors import SparseError

EXAMPLES = 40
DIGITS = "1" * 5000  # more than Python makes a number of
TABLES = [name for name, reader in READERS.items() if reader.file.endswith(".csv")]
DOCUMENTS = [name for name in READERS if name not in TABLES]


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder in which every reader finds what it takes."""
    folder = tmp_path_factory.mktemp("hostile")
    in_folder(folder)
    return folder


def check(name: str, folder: Path, content: bytes) -> None:
    """Status 0 or 2 of a command: no error but those that it tells in one line."""
    reader = READERS[name]
    file = folder / reader.file
    before = file.read_bytes() if file.exists() else None
    file.write_bytes(content)
    try:
        reader.read(folder)
    except OSError:
        pass  # names the file
    except SparseError as error:
        assert len(str(error)) < 2000  # noqa: PT017 - all others are failures
    finally:
        file.unlink() if before is None else file.write_bytes(before)


def document_of(reader: Reader) -> Any:
    return yaml.safe_load(reader.text) if reader.file.endswith(".yaml") else reader.content


@pytest.mark.parametrize("reader", READERS.values(), ids=READERS)
def test_what_we_write_is_read(reader: Reader, prepared: Path) -> None:
    (prepared / reader.file).write_text(reader.text)
    reader.read(prepared)


@pytest.mark.parametrize("name", READERS)
def test_files_of_strangers(name: str, prepared: Path) -> None:
    for content in FILES.values():
        check(name, prepared, content)


@pytest.mark.parametrize("name", DOCUMENTS)
@settings(max_examples=EXAMPLES)
@given(st.data())
def test_any_value_of_a_document(name: str, prepared: Path, data: st.DataObject) -> None:
    document = document_of(READERS[name])
    keys = data.draw(st.sampled_from(list(places(document))))
    ways = ["replaced", "raw"] + (["removed", "renamed"] if keys else [])
    way = data.draw(st.sampled_from(ways))
    if way == "raw":
        text = with_raw(document, keys, data.draw(st.sampled_from(RAW)))
    elif way == "removed":
        text = json.dumps(removed(document, keys))
    elif way == "renamed":
        text = json.dumps(renamed(document, keys, data.draw(st.sampled_from(NAMES))))
    else:
        text = json.dumps(replaced(document, keys, data.draw(st.sampled_from(VALUES))))
    check(name, prepared, text.encode())


@pytest.mark.parametrize("name", TABLES)
@pytest.mark.parametrize("cell", [DIGITS, "x" * 5000], ids=["digits", "letters"])
def test_long_cells_of_a_table(name: str, prepared: Path, cell: str) -> None:
    whole = READERS[name].text.splitlines()
    for number, line in enumerate(whole):
        row = line.split(",")
        for column in range(len(row)):
            changed = ",".join([*row[:column], cell, *row[column + 1 :]])
            lines = [*whole[:number], changed, *whole[number + 1 :]]
            check(name, prepared, "\n".join(lines).encode())


@pytest.mark.parametrize("name", TABLES)
@settings(max_examples=EXAMPLES)
@given(st.data())
def test_any_cell_of_a_table(name: str, prepared: Path, data: st.DataObject) -> None:
    lines = [line.split(",") for line in READERS[name].text.splitlines()]
    row = data.draw(st.sampled_from(lines))
    column = data.draw(st.sampled_from(range(len(row))))
    cells = [*NAMES, DIGITS, "nan", "inf", "-1", "1e999", '"', '"a,b"', "\ufeff", "'=1", "=1"]
    row[column] = data.draw(st.sampled_from(cells) | st.text(max_size=5))
    text = "\n".join(map(",".join, lines))
    check(name, prepared, text.encode("utf-8", "surrogatepass"))
