import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from campaign.conftest import CampaignWriter

from nnunet_sparse.campaign.campaign import Campaign, Round
from nnunet_sparse.campaign.open_campaign import campaign_lock
from nnunet_sparse.selection.variant import Variant
from nnunet_sparse.system.errors import SparseError

SLICES = {"b": (0, 3), "a": (1,)}


def test_what_is_written_is_read(write_campaign: CampaignWriter) -> None:
    campaign = write_campaign(SLICES)
    campaign.write()
    assert Campaign.read(campaign.folder) == replace(
        campaign, rounds=(replace(campaign.rounds[0], parameters={}),)
    )


def test_rounds_add_up(write_campaign: CampaignWriter) -> None:
    more = Round(Variant(0.5, 1.0, "fixed"), {"b": (2,), "c": (1,)})
    campaign = write_campaign(SLICES).with_round(more)
    assert campaign.asked("b") == (0, 2, 3)
    assert campaign.asked("d") == ()
    assert campaign.asked_cases == ["a", "b", "c"]


def test_labels(write_campaign: CampaignWriter) -> None:
    regions = write_campaign(SLICES, labels={"whole": [1, 2], "core": [2]})
    assert regions.ignore_label == 3
    assert regions.label_names == {1: "whole", 2: "whole + core"}


def test_a_folder_that_is_being_made_has_its_later_name(write_campaign: CampaignWriter) -> None:
    assert write_campaign(SLICES, name=".nnsparse_campaign_liver").name == "liver"


@pytest.mark.parametrize("name", ["labels", "pictures", "features", "predictions"])
def test_links_in_place_of_folders_that_are_written_to(
    write_campaign: CampaignWriter, tmp_path: Path, name: str
) -> None:
    campaign = write_campaign(SLICES)
    campaign.write()
    somebodys = tmp_path / "somebodys"
    (somebodys / ".nnsparse_new_a.png").mkdir(parents=True)
    shutil.rmtree(campaign.folder / name, ignore_errors=True)
    (campaign.folder / name).symlink_to(somebodys)
    message = f"{name} is a link, through which files would be written outside the campaign"
    with pytest.raises(SparseError, match=message), campaign_lock(campaign.folder):
        Campaign.read(campaign.folder)
    assert [path.name for path in somebodys.iterdir()] == [".nnsparse_new_a.png"]


def test_no_campaign(tmp_path: Path) -> None:
    with pytest.raises(SparseError, match=r"is no campaign: it has no campaign\.json"):
        Campaign.read(tmp_path)
    (tmp_path / "campaign.json").write_text('{"volumes": {}}')
    with pytest.raises(SparseError, match=r"campaign\.json is damaged: it lacks version"):
        Campaign.read(tmp_path)
