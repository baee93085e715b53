"""Campaigns of small scans, which are made once and copied."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from campaign.annotator import annotate
from campaign.scans import write_scans

from nnunet_sparse.campaign.worklist_command import main as worklist

CampaignCopier = Callable[..., Path]


@pytest.fixture(scope="session")
def copy_campaign(tmp_path_factory: pytest.TempPathFactory) -> CampaignCopier:
    """Function that copies a campaign into a folder: 3 of 12 slices of each volume.

    With it come ``scans`` and ``truth``. More options may be given to ``nnsparse_worklist make``.
    """
    made: dict[tuple[str, bool, tuple[str, ...]], Path] = {}

    def copy(folder: Path, cases: str = "abcd", *more: str, annotated: bool = False) -> Path:
        once = made.get((cases, annotated, more))
        if once is None:
            once = made[cases, annotated, more] = tmp_path_factory.mktemp("campaign")
            write_scans(once / "scans", cases)
            where = (str(once / "scans"), "-o", str(once / "campaign"))
            options = ("--labels", "ball", "core", "--slices_per_volume", "3", "-np", "1")
            assert worklist(["make", *where, *options, *more]) == 0
            if annotated:
                annotate(once / "campaign", once / "truth")
        for name in ("scans", "truth", "campaign"):
            shutil.copytree(once / name, folder / name, symlinks=True, dirs_exist_ok=True)
        file = folder / "campaign" / "campaign.json"
        text = file.read_text("utf-8").replace(f'"{once}/', f'"{folder}/')
        file.write_text(text, encoding="utf-8")
        return folder / "campaign"

    return copy
