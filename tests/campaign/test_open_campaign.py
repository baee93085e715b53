from pathlib import Path

import pytest
from campaign.conftest import CampaignWriter

from nnunet_sparse.campaign.open_campaign import campaign_lock, open_campaign
from nnunet_sparse.system.errors import SparseError


def test_a_folder_that_is_no_campaign(tmp_path: Path) -> None:
    with pytest.raises(SparseError, match="is no campaign"), campaign_lock(tmp_path):
        pass
    assert list(tmp_path.iterdir()) == []


def test_rounds_that_were_left_are_completed(write_campaign: CampaignWriter) -> None:
    campaign = write_campaign({"a": (1, 2)})
    campaign.write()
    campaign.label_file("a").unlink()
    with campaign_lock(campaign.folder):
        opened = open_campaign(campaign.folder, 1)
    assert opened.is_complete
    assert campaign.label_file("a").is_file()
    assert (campaign.folder / "worklist.csv").is_file()
    before = (campaign.folder / "campaign.json").read_bytes()
    assert open_campaign(campaign.folder, 1) == opened
    assert (campaign.folder / "campaign.json").read_bytes() == before


def test_images_that_are_gone(write_campaign: CampaignWriter) -> None:
    campaign = write_campaign({"a": (1, 2)})
    campaign.write()
    campaign.image_files("a")[0].unlink()
    with pytest.raises(SparseError, match="does not exist; put the volume back"):
        open_campaign(campaign.folder, 1)
