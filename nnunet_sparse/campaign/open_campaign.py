"""Opening a campaign: under a lock, and after rounds that a killed call left are completed."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from nnunet_sparse.campaign.campaign import CAMPAIGN_FILE, LOCK_FILE, Campaign
from nnunet_sparse.campaign.guide import PICTURE_FOLDER
from nnunet_sparse.campaign.images import check_images
from nnunet_sparse.campaign.round_work import finish_round
from nnunet_sparse.system.atomic import remove_leftovers
from nnunet_sparse.system.locks import locked
from nnunet_sparse.system.publication import MARKER


@contextmanager
def campaign_lock(folder: Path) -> Iterator[None]:
    """Keep other commands from working in the folder of a campaign.

    Raises
    ------
    SparseError
        If it is no such folder.
    """
    if not (folder / CAMPAIGN_FILE).is_file():
        Campaign.read(folder)  # says what is wrong
    with locked(folder / LOCK_FILE, f"Another process is working in {folder}"):
        with suppress(OSError):  # of a call that was killed when the folder had just got its name
            (folder / MARKER).unlink(missing_ok=True)
        remove_leftovers(folder)
        if not (folder / PICTURE_FOLDER).is_symlink():  # which is refused where it is read
            remove_leftovers(folder / PICTURE_FOLDER)
        yield


def open_campaign(folder: Path, num_processes: int) -> Campaign:
    """Read a campaign, and complete the rounds that a killed call has left.

    The caller holds the lock of :func:`campaign_lock`.

    Raises
    ------
    SparseError
        If the folder holds no campaign, or an image of it is gone.
    """
    campaign = Campaign.read(folder)
    check_images(campaign)
    return campaign if campaign.is_complete else finish_round(campaign, num_processes)
