import re
from pathlib import Path
from typing import Any

import pytest

from nnunet_sparse.campaign.campaign import Campaign
from nnunet_sparse.campaign.label_descriptions import (
    ITKSNAP_FILE,
    SLICER_FILE,
    itksnap_text,
    slicer_text,
    write_label_descriptions,
)

# as ITK-SNAP reads a line: seven numbers, then what stands between two quotation marks
_ITKSNAP_ROW = re.compile(
    r'\s*(\d+)\s+(\d+)\s+(\d+)\s+(\d+)\s+([\d.]+)\s+([01])\s+([01])\s+"([^"]+)"'
)


def _campaign(labels: dict[str, Any], folder: Path = Path("here")) -> Campaign:
    dataset = {"channel_names": {"0": "CT"}, "labels": {"background": 0, **labels}}
    return Campaign(folder, dataset, 0, "axial", {}, ())


def _itksnap_rows(text: str) -> list[tuple[str, ...]]:
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    rows = [_ITKSNAP_ROW.fullmatch(line) for line in lines]
    return [row.groups() for row in rows if row is not None]


def _slicer_rows(text: str) -> list[list[str]]:
    return [line.split(" ") for line in text.splitlines() if not line.startswith("#")]


def test_itksnap_rows() -> None:
    text = itksnap_text(_campaign({"organ": 1, "lesion": 3}))
    assert _itksnap_rows(text) == [
        ("0", "0", "0", "0", "0", "0", "0", "Clear Label"),
        ("1", "230", "159", "0", "1", "1", "1", "organ"),
        ("3", "0", "158", "115", "1", "1", "1", "lesion"),
        # translucent, and no surface that hides all others
        ("4", "128", "128", "128", "0.6", "1", "0", "ignore"),
    ]


def test_slicer_rows() -> None:
    text = slicer_text(_campaign({"left organ": 1}))
    assert text.startswith("# Color table file")
    assert _slicer_rows(text) == [
        ["0", "background", "0", "0", "0", "0"],
        ["1", "left_organ", "230", "159", "0", "255"],
        ["2", "ignore", "128", "128", "128", "153"],
    ]


def test_labels_that_are_regions() -> None:
    campaign = _campaign({"whole": [1, 2], "core": [2]})
    assert [row[-1] for row in _itksnap_rows(itksnap_text(campaign))][1:3] == [
        "whole",
        "whole + core",
    ]


@pytest.mark.parametrize(
    ("name", "itksnap", "slicer"),
    [
        ('5" wall', "5' wall", '5"_wall'),
        ("Sylvius' fissure", "Sylvius' fissure", "Sylvius\u2019_fissure"),
        ("two\nlines\tand\u00a0more", "two lines and more", "two_lines_and_more"),
        ("# Größe", "# Größe", "#_Größe"),
        (" ", "label 1", "label_1"),
        ("n" * 2000, "n" * 200, "n" * 200),
    ],
)
def test_names_that_the_formats_cannot_hold(name: str, itksnap: str, slicer: str) -> None:
    campaign = _campaign({name: 1})
    assert _itksnap_rows(itksnap_text(campaign))[1][-1] == itksnap
    row = _slicer_rows(slicer_text(campaign))[1]
    assert (row[1], len(row)) == (slicer, 6)


def test_slicer_can_tell_all_names_apart() -> None:
    campaign = _campaign({"a b": 1, "a_b": 2, "ignore ": 3, "background ": 4})
    names = [row[1] for row in _slicer_rows(slicer_text(campaign))]
    assert names == ["background", "a_b", "a_b_2", "ignore", "background_4", "ignore_5"]


def test_files(tmp_path: Path) -> None:
    campaign = _campaign({"organ": 1}, tmp_path)
    write_label_descriptions(campaign)
    assert (tmp_path / ITKSNAP_FILE).read_text("utf-8") == itksnap_text(campaign)
    assert (tmp_path / SLICER_FILE).read_text("utf-8") == slicer_text(campaign)
