"""Making a campaign, and extending it."""

import json
import logging
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from nnunet_sparse.atomic import write_json
from nnunet_sparse.campaign.campaign import (
    CAMPAIGN_FILE,
    FILE_ENDING,
    UNFINISHED_PREFIX,
    Campaign,
    CampaignVolume,
)
from nnunet_sparse.campaign.choose import check_variant, choose_round, read_weights
from nnunet_sparse.campaign.guide import write_guide
from nnunet_sparse.campaign.images import bring_image
from nnunet_sparse.campaign.label_descriptions import write_label_descriptions
from nnunet_sparse.campaign.prefill import prefill
from nnunet_sparse.campaign.slice_states import SliceStates
from nnunet_sparse.campaign.volumes import SourceVolume
from nnunet_sparse.campaign.worklist import Answers, plane_of, work_order, write_worklist
from nnunet_sparse.dataset_tools.make_dataset import check_axis
from nnunet_sparse.devices import check_device
from nnunet_sparse.errors import SparseError
from nnunet_sparse.geometry import (
    Geometry,
    check_same_voxels,
    read_geometry,
    resolve_axis,
)
from nnunet_sparse.locks import locked
from nnunet_sparse.parallel import map_cases
from nnunet_sparse.raw_dataset import Case, RawDataset
from nnunet_sparse.variant import Variant

logger = logging.getLogger(__name__)

_REQUEST = "request.json"


@dataclass(frozen=True)
class CampaignRequest:
    """What a campaign is to be.

    Attributes
    ----------
    volumes
        Where the volumes come from.
    dataset
        ``channel_names`` and ``labels`` as in ``dataset.json``, without ignore.
    variant
        How many slices are asked for, and how they are chosen.
    axis
        Slice axis, as users name it.
    weights
        Table of the volumes' weights; None for equal ones.
    copy
        Copy images that could be linked.
    device
        Where networks of selectors run; None for a GPU if there is one.
    """

    volumes: Sequence[SourceVolume]
    dataset: Mapping[str, Any]
    variant: Variant
    axis: str = "auto"
    weights: Path | None = None
    copy: bool = False
    device: str | None = None

    @property
    def volume_weights(self) -> dict[str, float]:
        """Weight of every volume by case ID."""
        cases = {volume.case_id: volume for volume in self.volumes}
        if self.weights is None:
            return dict.fromkeys(cases, 1.0)
        return read_weights(self.weights, cases)

    def to_json(self) -> dict[str, Any]:
        """All that decides the campaign's content."""
        return {
            "volumes": {v.case_id: [str(p.resolve()) for p in v.channels] for v in self.volumes},
            "dataset": dict(self.dataset),
            "variant": self.variant.to_json(),
            "axis": self.axis,
            "weights": self.volume_weights,
            "copy": self.copy,
        }


def make_campaign(
    folder: Path, request: CampaignRequest, num_processes: int = 1
) -> tuple[Campaign, bool]:
    """Make the folder of a campaign.

    The folder appears complete or not at all; a call that was killed goes on where it was.

    Parameters
    ----------
    folder
        The campaign's folder, which does not exist, or is a campaign of the same request.
    request
        What it is to be.
    num_processes
        Number of processes; the result does not depend on it.

    Returns
    -------
    campaign : Campaign
        What the folder holds.
    created : bool
        Whether this call made it.

    Raises
    ------
    SparseError
        If a volume cannot be read, the volumes do not go together, the budget exceeds what there
        is, or the folder holds something else. Nothing is left behind.
    """
    _check(request)
    wanted = json.loads(json.dumps(request.to_json()))
    folder.absolute().parent.mkdir(parents=True, exist_ok=True)
    name = folder.absolute().name
    partial_folder = folder.absolute().parent / f"{UNFINISHED_PREFIX}{name}"
    with locked(
        folder.absolute().parent / f".nnsparse_{name}.lock", f"Another process makes {name}"
    ):
        if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            return _same(folder, wanted), False
        _begin(partial_folder, wanted)
        try:
            campaign = _build(partial_folder, request, num_processes)
            campaign = prefill(campaign, num_processes)
            write_work(campaign, Answers(), None, num_processes)
            (partial_folder / _REQUEST).unlink()
            if folder.is_dir():
                folder.rmdir()
            partial_folder.rename(folder)
        except Exception:
            shutil.rmtree(partial_folder, ignore_errors=True)
            raise
    return Campaign.read(folder), True


def preview_campaign(request: CampaignRequest, num_processes: int = 1) -> Campaign:
    """What :func:`make_campaign` would ask for; nothing is kept.

    Raises
    ------
    SparseError
        As :func:`make_campaign`, and if the selector needs a network, which is not trained here.
    """
    _check(request)
    if "features" in request.variant.make_selector().uses:
        raise SparseError(
            f"selector {request.variant.selector} needs a network that is trained on the images: "
            "leave out --dry_run, or choose another selector"
        )
    with tempfile.TemporaryDirectory(prefix="nnsparse_") as folder:
        campaign = _build(Path(folder), replace(request, copy=False), num_processes)
        _ = campaign.images.label_values  # nothing of the folder is read later on
        return campaign


def extend_campaign(
    campaign: Campaign,
    variant: Variant,
    states: Mapping[str, SliceStates],
    device: str | None = None,
    num_processes: int = 1,
) -> Campaign:
    """Ask for more slices; the campaign is not written.

    Parameters
    ----------
    campaign
        The campaign.
    variant
        How many slices are added, and how they are chosen.
    states
        What the labels hold, by case ID.
    device
        Where networks of selectors run; None for a GPU if there is one.
    num_processes
        Processes that read images.

    Returns
    -------
    Campaign
        With one more round, which has to be prefilled.

    Raises
    ------
    SparseError
        If the budget exceeds what is left.
    """
    extra = {case_id: frozenset(found.extra) for case_id, found in states.items()}
    return campaign.with_round(choose_round(campaign, variant, extra, device, num_processes))


def write_work(
    campaign: Campaign,
    answers: Answers,
    states: Mapping[str, SliceStates] | None,
    num_processes: int,
) -> None:
    """Write all that people read: worklist, label descriptions, guide and pictures."""
    write_worklist(campaign, answers, states)
    write_label_descriptions(campaign)
    order = list(dict.fromkeys(case_id for _, case_id, _ in work_order(campaign)))
    write_guide(campaign, order, num_processes)


def _check(request: CampaignRequest) -> None:
    """Refuse what is wrong whatever the images hold."""
    check_axis(request.axis)
    check_variant(request.variant, request.volume_weights)
    check_device(request.device)


def _same(folder: Path, wanted: Mapping[str, Any]) -> Campaign:
    """The campaign that is there, if it is the one that is asked for."""
    if not (folder / CAMPAIGN_FILE).is_file():
        raise SparseError(f"{folder} exists and is no campaign; give another folder")
    found = Campaign.read(folder)
    different = [key for key in wanted if found.request.get(key) != wanted[key]]
    if different:
        raise SparseError(
            f"{folder} is a campaign with other {', '.join(different)}; give another folder, or "
            "ask for more slices with nnsparse_worklist extend"
        )
    return found


def _begin(folder: Path, wanted: Mapping[str, Any]) -> None:
    """Folder to build in; one that a killed call has left is gone on with if it is the same."""
    try:
        left = json.loads((folder / _REQUEST).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        left = None
    if left != wanted:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        write_json(folder / _REQUEST, wanted, sort_keys=False)


def _build(folder: Path, request: CampaignRequest, num_processes: int) -> Campaign:
    """Images and ``campaign.json``."""
    (folder / "images").mkdir(exist_ok=True)
    jobs = {
        image.name: (source, image)
        for volume in request.volumes
        for source, image in zip(volume.channels, _images(folder, volume), strict=True)
    }
    map_cases(partial(_bring, copy=request.copy), jobs, num_processes, "Reading volumes")
    geometries = _geometries(folder, request)
    axis = resolve_axis(request.axis, geometries)
    if all(geometry.shape[axis] == 1 for geometry in geometries.values()):
        raise SparseError(f"all volumes have one slice along axis {axis}: nothing to choose")
    weights = request.volume_weights
    campaign = Campaign(
        folder,
        {**request.dataset, "overwrite_image_reader_writer": _reader(folder, request)},
        axis,
        plane_of(next(iter(geometries.values())), axis),
        {
            volume.case_id: CampaignVolume(
                geometries[volume.case_id].shape[axis],
                tuple(str(path) for path in volume.channels),
                weights[volume.case_id],
            )
            for volume in request.volumes
        },
        (),
        json.loads(json.dumps(request.to_json())),
    )
    asking = choose_round(campaign, request.variant, {}, request.device, num_processes)
    campaign = campaign.with_round(asking)
    campaign.write()
    return campaign


def _bring(job: tuple[Path, Path], copy: bool) -> None:
    bring_image(*job, copy=copy)


def _reader(folder: Path, request: CampaignRequest) -> str:
    """Class name of nnU-Net's reader that reads all images."""
    training = {
        volume.case_id: Case(volume.case_id, _images(folder, volume), None)
        for volume in request.volumes
    }
    content = {**request.dataset, "file_ending": FILE_ENDING}
    readers = {
        RawDataset(folder, content, {case_id: case}, {}).reader()
        for case_id, case in training.items()
    }
    # nibabel reads what SimpleITK refuses
    return "NibabelIO" if "NibabelIO" in readers else readers.pop()


def _images(folder: Path, volume: SourceVolume) -> tuple[Path, ...]:
    names = (f"{volume.case_id}_{c:04d}{FILE_ENDING}" for c in range(len(volume.channels)))
    return tuple(folder / "images" / name for name in names)


def _geometries(folder: Path, request: CampaignRequest) -> dict[str, Geometry]:
    """Geometry of every volume, whose channels must lie on the same voxels."""
    reader = _reader(folder, request)
    found = {}
    for volume in request.volumes:
        images = _images(folder, volume)
        geometries = [read_geometry(image, reader) for image in images]
        for source, geometry in zip(volume.channels, geometries, strict=True):
            check_same_voxels(source, geometry, volume.channels[0], geometries[0], "channel 0 of")
        found[volume.case_id] = geometries[0]
    return found
