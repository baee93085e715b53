"""The labels that are edited: background where annotation is asked for, ignore elsewhere."""

import logging
from collections.abc import Sequence
from functools import partial

import numpy as np

from nnunet_sparse.atomic import atomic_path
from nnunet_sparse.campaign.campaign import Campaign
from nnunet_sparse.geometry import read_geometry
from nnunet_sparse.label_io import label_dtype, read_label, write_label_like
from nnunet_sparse.parallel import map_cases

logger = logging.getLogger(__name__)


def prefilled_label(campaign: Campaign, case_id: str) -> np.ndarray:
    """Label of a case on which nobody has worked: (z, y, x), background on the slices asked for."""
    shape = read_geometry(campaign.image_files(case_id)[0], campaign.images.reader()).shape
    ignore = campaign.ignore_label
    label = np.full(shape, ignore, label_dtype(np.dtype(np.uint8), ignore))
    _planes(label, campaign.axis)[list(campaign.asked(case_id))] = 0
    return label


def prefill(campaign: Campaign, num_processes: int) -> Campaign:
    """Bring every slice that is asked for into the label files.

    Labels that are missing are made. In labels that are there, slices of rounds that have not been
    prefilled become background if they hold nothing but ignore; everything else stays as it is.

    Returns
    -------
    Campaign
        The same; its file says that all rounds are prefilled.

    Raises
    ------
    SparseError
        If a label cannot be read.
    """
    pending = [asking for asking in campaign.rounds if not asking.prefilled]
    if not pending:
        return campaign
    jobs = {
        case_id: sorted({i for asking in pending for i in asking.slices.get(case_id, ())})
        for case_id in campaign.asked_cases
        if any(case_id in asking.slices for asking in pending)
    }
    (campaign.folder / "labels").mkdir(exist_ok=True)
    work = partial(_prefill_case, campaign=campaign)
    map_cases(work, {c: (c, slices) for c, slices in jobs.items()}, num_processes, "Prefilling")
    done = campaign.prefilled()
    done.write()
    return done


def _prefill_case(job: tuple[str, Sequence[int]], campaign: Campaign) -> None:
    case_id, slices = job
    file, reader, axis = campaign.label_file(case_id), campaign.images.reader(), campaign.axis
    if not file.exists():
        with atomic_path(file, campaign.folder) as temporary:
            image = campaign.image_files(case_id)[0]
            write_label_like(temporary, prefilled_label(campaign, case_id), image, reader)
        return
    label = read_label(file, reader)
    planes, ignore = _planes(label, axis), campaign.ignore_label
    untouched = [i for i in slices if i < len(planes) and (planes[i] == ignore).all()]
    if untouched:
        label = label.copy()
        _planes(label, axis)[untouched] = 0
        with atomic_path(file, campaign.folder) as temporary:
            write_label_like(temporary, label, file, reader)


def _planes(label: np.ndarray, axis: int) -> np.ndarray:
    """View of a label with its slices first."""
    return np.moveaxis(label, axis, 0)
