import shutil
from pathlib import Path
from typing import Any

import pytest
from campaign.scans import write_scans
from conftest import BaseMaker

from nnunet_sparse.campaign.sources import find_sources
from nnunet_sparse.campaign.worklist_command import main
from nnunet_sparse.system.errors import SparseError


def test_volumes_and_names(tmp_path: Path) -> None:
    declared, volumes = find_sources([write_scans(tmp_path / "scans", "ab")], None, ["x", "y"])
    assert declared == {
        "channel_names": {"0": "image"},
        "labels": {"background": 0, "x": 1, "y": 2},
    }
    assert [volume.case_id for volume in volumes] == ["a", "b"]


@pytest.mark.parametrize("option", ["--labels", "--channels"])
def test_an_option_that_took_the_volumes(
    no_paths: Path, capsys: pytest.CaptureFixture[str], option: str
) -> None:
    write_scans(no_paths / "scans")
    assert main(["make", option, "x", "y", "scans", "-o", "campaign", "--rho", "0.1"]) == 2
    error = capsys.readouterr().err
    assert f"{option} takes all that follows, scans as well: volumes come first" in error


def test_neither_volumes_nor_a_data_set() -> None:
    with pytest.raises(SparseError, match="name the volumes, or a data set with -d"):
        find_sources([], None, ["x", "y"])


def declared_by(make_base: BaseMaker, *args: Any, **content: Any) -> dict[str, Any]:
    folder = make_base(num_train=1, channels=2, **content)
    shutil.rmtree(folder / "labelsTr")
    return find_sources([folder], None, *args)[0]


def test_what_a_data_set_declares(make_base: BaseMaker) -> None:
    declared = declared_by(make_base)
    assert declared == {
        "channel_names": {"0": "MR", "1": "MR"},
        "labels": {"background": 0, "organ": 1, "lesion": 2},
    }
    assert declared_by(make_base, ["organ", "lesion"]) == declared
    assert declared_by(make_base, None, ["CT", "PET"])["channel_names"] == {"0": "CT", "1": "PET"}


def test_what_a_data_set_does_not_declare(make_base: BaseMaker) -> None:
    with pytest.raises(SparseError, match="declares the labels background, organ, lesion; leave"):
        declared_by(make_base, ["organ"])
    with pytest.raises(SparseError, match="--channels names 1 channels, Dataset004_Tiny has 2"):
        declared_by(make_base, None, ["CT"])


def test_a_data_set_without_foreground(make_base: BaseMaker) -> None:
    labels = {"background": 0}
    with pytest.raises(SparseError, match="declares no label but background; name them with"):
        declared_by(make_base, labels=labels)
    named = declared_by(make_base, ["x"], labels=labels)
    assert named["labels"] == {"background": 0, "x": 1}


def test_an_ignore_label_is_left_out(make_base: BaseMaker) -> None:
    labels = {"background": 0, "x": 1, "ignore": 2}
    assert declared_by(make_base, labels=labels)["labels"] == {"background": 0, "x": 1}


def test_regions(make_base: BaseMaker) -> None:
    labels = {"background": 0, "whole": [1, 2], "core": 2}
    with pytest.raises(SparseError, match="regions_class_order must list 2 labels, got None"):
        declared_by(make_base, labels=labels)
    declared = declared_by(make_base, labels=labels, extra={"regions_class_order": [1, 2]})
    assert declared["labels"] == labels
    assert declared["regions_class_order"] == [1, 2]


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ({"x": 1}, "background must be 0, got None"),
        ({"background": 1, "x": 0}, "background must be 0, got 1"),
        ({"background": 0, "x": True}, "x must be a whole number, got True"),
        ({"background": 0, "x": 1, "y": 3}, r"must be consecutive, 0, 1, ..., got \[0, 1, 3\]"),
        ({"background": 0, "x": 1, "y": 1}, r"must differ where .* got \[0, 1, 1\]"),
        ({"background": 0, "x": 1, "ignore": 2, "y": 3}, "must be consecutive"),
    ],
)
def test_labels_that_nnunet_refuses(
    make_base: BaseMaker, labels: dict[str, Any], message: str
) -> None:
    with pytest.raises(SparseError, match=f"nnU-Net does not take these labels: .*{message}"):
        declared_by(make_base, labels=labels)
