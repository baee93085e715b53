from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from hostile.hostile_names import STRANGE

from nnunet_sparse.grid.yaml_lines import key_lines, load, part, parts, read_yaml, yaml_text
from nnunet_sparse.system.errors import SparseError
from nnunet_sparse.system.schema import Rule, mapping, positive, setting, whole


def check_seats(seats: Mapping[str, Any]) -> None:
    if unknown := sorted(seats.keys() - {"front", "back"}):
        raise SparseError(f"no seat {unknown[0]}")


SEATS = {"rule": mapping("seats"), "check": check_seats}


@dataclass(frozen=True)
class Wheel:
    size: float = setting(1.0, positive())


@dataclass(frozen=True)
class Car:
    name: str = field(metadata={"rule": Rule(str, bool, "a name")})
    wheels: tuple[Wheel, ...] = parts(Wheel)
    spare: Wheel | None = part(Wheel)
    doors: int = setting(4, whole(2))
    seats: dict[str, Any] = field(default_factory=dict, metadata=SEATS)
    lines: Mapping[str, int] = key_lines()

    def __post_init__(self) -> None:
        if self.doors == 13:
            raise SparseError("13 doors bring bad luck")


def car(tmp_path: Path, text: str) -> Any:
    file = tmp_path / "car.yaml"
    file.write_text(text)
    return load(Car, read_yaml(file))


def test_values_and_defaults(tmp_path: Path) -> None:
    text = "name: van\nwheels:\n  - size: 2\n  - size: 1e-1\nspare: {size: 3}\ndoors:\n"
    assert car(tmp_path, text) == Car("van", (Wheel(2.0), Wheel(0.1)), Wheel(3.0), 4)


def test_lines_of_keys(tmp_path: Path) -> None:
    assert car(tmp_path, "name: van\n\ndoors: 3\nspare:\n").lines == {"name": 1, "doors": 3}


def test_ids_with_zeros_stay_as_they_are(tmp_path: Path) -> None:
    assert car(tmp_path, "name: 011\n").name == "011"


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ("name: a\nwheels:\n  - size: 0\n", 3, "size must be a number above 0, got 0"),
        ("name: a\nwheel: []\n", 2, "unknown key 'wheel' (did you mean wheels? there are name,"),
        ("name: a\nwheels:\n  - sice: 1\n", 3, "unknown key 'sice' (did you mean size?"),
        ("name: a\nwheels: 3\n", 2, "wheels must be a list, got 3"),
        ("name: a\nwheels: [3]\n", 2, "keys and values are expected here, got 3"),
        ("name: a\ndoors: true\n", 2, "doors must be a whole number of at least 2, got True"),
        ("name: a\nname: b\n", 2, "name appears twice"),
        ("\ndoors: 3\n", 2, "name is missing"),
        ("name: a\ndoors: 13\n", 1, "13 doors bring bad luck"),
        ("name: a\ndoors: [1\n", 3, "expected ',' or ']', but got '<stream end>'"),
        ("name: a\n\tdoors: 3\n", 2, "found character '\\t' that cannot start any token"),
        ("name: a\nseats:\n  back: 1\n  roof: 2\n", 4, "no seat roof"),
        ("- name\n", 1, "keys and values are expected here, got ['name']"),
        ("name: *x\n", 1, "found undefined alias"),
        ("name: a\ndoors: 2024-13-45\n", 2, "'2024-13-45' cannot be read: month must be in"),
        ("? [1, 2]\n: 3\n", 1, "a key must be a word"),
        ("name: a\ndoors: \x013\n", 2, "the character '\\x01' cannot stand in YAML"),
        ("name: " + 5000 * "9", 1, "'" + 119 * "9" + " ... cannot be read: Exceeds the limit"),
        ("name: \0\n", 1, "the character '\\x00' cannot stand in YAML"),
    ],
)
def test_errors_name_file_and_line(tmp_path: Path, text: str, line: int, message: str) -> None:
    with pytest.raises(SparseError) as error:
        car(tmp_path, text)
    assert str(error.value).startswith(f"{tmp_path / 'car.yaml'}, line {line}: {message}")


@pytest.mark.parametrize("kind", ["[{}]", "{{a: {0}}}"])
def test_aliases_cannot_multiply_without_bounds(tmp_path: Path, kind: str) -> None:
    lines = [f"a0: &a0 {kind.format('x')}"]
    for n in range(1, 10):
        lines.append(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]")
    with pytest.raises(SparseError, match=r"car\.yaml, line 1: with its aliases it has more than"):
        car(tmp_path, "\n".join(lines))


def test_an_alias_stands_for_its_anchor(tmp_path: Path) -> None:
    found = car(tmp_path, "name: a\nwheels:\n  - &w {size: 3}\n  - *w\n")
    assert [wheel.size for wheel in found.wheels] == [3, 3]


def test_files_that_are_no_yaml(tmp_path: Path) -> None:
    file = tmp_path / "a.yaml"
    with pytest.raises(SparseError, match="No such file"):
        read_yaml(file)
    file.write_text("")
    with pytest.raises(SparseError, match="is empty"):
        read_yaml(file)
    file.write_text("&x [*x]\n")
    with pytest.raises(SparseError, match="refers to itself"):
        read_yaml(file)
    file.write_bytes(b"\xff\xfe\xfa")
    with pytest.raises(SparseError, match="no text in UTF-8"):
        read_yaml(file)


NAMES = (
    *STRANGE.values(),
    "No",
    "null",
    "1e5",
    "007",
    "0o7",
    "1_000",
    "2020-01-01",
    "a: b",
    "x" * 300,
)


@pytest.mark.parametrize("name", NAMES)
def test_texts_are_read_as_they_were_written(tmp_path: Path, name: str) -> None:
    file = tmp_path / "names.yaml"
    text = yaml_text(name)
    file.write_text(f"block: {text} # comment\nflow: [{text}, {text}]\n", encoding="utf-8")
    assert read_yaml(file).plain == {"block": name, "flow": [name, name]}


def test_words_are_written_without_quotation_marks() -> None:
    assert yaml_text("Dataset004_Hippocampus") == "Dataset004_Hippocampus"
