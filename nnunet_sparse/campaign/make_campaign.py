"""Making a campaign."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from nnunet_sparse.campaign.asked_slices import check_variant, choose_round, read_weights
from nnunet_sparse.campaign.campaign import (
    CAMPAIGN_FILE,
    UNFINISHED_PREFIX,
    Campaign,
    CampaignVolume,
    image_path,
)
from nnunet_sparse.campaign.find_volumes import SourceVolume
from nnunet_sparse.campaign.images import bring_image, look_at
from nnunet_sparse.campaign.nifti1 import warn_of_closed
from nnunet_sparse.campaign.round_work import finish_round
from nnunet_sparse.campaign.second_reading import asked_twice, check_second_share
from nnunet_sparse.campaign.worklist import plane_of
from nnunet_sparse.data.geometry import Geometry, check_axis, resolve_axis
from nnunet_sparse.data.same_voxels import check_same_voxels, warn_of_disagreement
from nnunet_sparse.selection.variant import Variant
from nnunet_sparse.selectors import refuse_without_network
from nnunet_sparse.system.atomic import as_json
from nnunet_sparse.system.devices import check_device
from nnunet_sparse.system.errors import SparseError
from nnunet_sparse.system.parallel import map_cases
from nnunet_sparse.system.publication import publication

logger = logging.getLogger(__name__)

_LEAST_ANNOTATED = 2
_NIBABEL = "NibabelIO"
_SECOND = "second_reader"


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
    second_reader
        Share of the slices that another annotator is asked for as well; 0 for none.
    """

    volumes: Sequence[SourceVolume]
    dataset: Mapping[str, Any]
    variant: Variant
    axis: str = "auto"
    weights: Path | None = None
    copy: bool = False
    device: str | None = None
    second_reader: float = 0.0

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
            **({_SECOND: self.second_reader} if self.second_reader else {}),
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
    wanted = as_json(request.to_json())
    parent, name = folder.absolute().parent, folder.absolute().name
    partial_folder = parent / f"{UNFINISHED_PREFIX}{name}"
    waiting = f"Another process makes {name}"
    with publication(parent / name, partial_folder, wanted, waiting=waiting) as new:
        if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            return _same(folder, wanted), False
        try:
            with new.making():
                campaign = _build(partial_folder, request, num_processes)
                finish_round(campaign, num_processes)
        except SparseError as error:
            raise SparseError(_by_source(str(error), partial_folder, request)) from error
    return Campaign.read(folder), True


def preview_campaign(request: CampaignRequest, num_processes: int = 1) -> Campaign:
    """What :func:`make_campaign` would ask for, by the headers of the volumes; nothing is written.

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
    sources = {
        image.name: source
        for volume in request.volumes
        for source, image in _images(Path(), volume)
    }
    found = map_cases(look_at, sources, num_processes, "Reading headers")
    return _choose(Path(), request, found, num_processes)


def _check(request: CampaignRequest) -> None:
    """Refuse what is wrong whatever the images hold."""
    refuse_without_network(request.variant.selector)
    check_axis(request.axis)
    check_variant(request.variant, request.volume_weights)
    check_device(request.device)
    check_second_share(request.second_reader)


def _same(folder: Path, wanted: Mapping[str, Any]) -> Campaign:
    """The campaign that is there, if it is the one that is asked for."""
    if not (folder / CAMPAIGN_FILE).is_file():
        raise SparseError(f"{folder} exists and is no campaign; give another folder")
    found = Campaign.read(folder)
    # requests without a second reader do not name it
    keys = dict.fromkeys([*wanted, _SECOND])
    different = [key for key in keys if found.request.get(key) != wanted.get(key)]
    if different:
        parts = ", ".join(map(_named, different))
        raise SparseError(
            f"{folder} is a campaign with other {parts}; give another folder, or ask for more "
            "slices with nnsparse_worklist extend"
        )
    return found


def _named(key: str) -> str:
    """What a part of a request is called on the command line."""
    names = {
        "variant": "--budget, --selector, --scope or --seed",
        "dataset": "labels or channels",
        _SECOND: "--second_reader",
    }
    return names.get(key, key)


def _by_source(message: str, folder: Path, request: CampaignRequest) -> str:
    """A message that names what users know instead of images in a folder that is gone."""
    for volume in request.volumes:
        for source, image in _images(folder, volume):
            message = message.replace(str(image), str(source))
    return message


def _build(folder: Path, request: CampaignRequest, num_processes: int) -> Campaign:
    """Images and ``campaign.json``."""
    (folder / "images").mkdir(exist_ok=True)
    jobs = {
        image.name: (source, image)
        for volume in request.volumes
        for source, image in _images(folder, volume)
    }
    found = map_cases(partial(_bring, copy=request.copy), jobs, num_processes, "Reading volumes")
    campaign = _choose(folder, request, found, num_processes)
    campaign.write()
    return campaign


def _bring(job: tuple[Path, Path], copy: bool) -> tuple[Geometry, str]:
    return bring_image(*job, copy=copy)


def _images(folder: Path, volume: SourceVolume) -> list[tuple[Path, Path]]:
    """Each channel of a volume, and the campaign's image of it."""
    return [
        (source, folder / image_path(volume.case_id, channel))
        for channel, source in enumerate(volume.channels)
    ]


def _choose(
    folder: Path,
    request: CampaignRequest,
    found: Mapping[str, tuple[Geometry, str]],
    num_processes: int,
) -> Campaign:
    """The campaign with its first round, from what the headers of the images say."""
    geometries = _geometries(request, {name: geometry for name, (geometry, _) in found.items()})
    axis = resolve_axis(request.axis, geometries)
    if all(geometry.shape[axis] == 1 for geometry in geometries.values()):
        raise SparseError(f"all volumes have one slice along axis {axis}: nothing to choose")
    readers = {reader for _, reader in found.values()}
    sources = {image.name: source for v in request.volumes for source, image in _images(folder, v)}
    warn_of_closed([sources[name] for name, (_, reader) in found.items() if reader == _NIBABEL])
    # nibabel reads what SimpleITK refuses
    reader = _NIBABEL if _NIBABEL in readers else readers.pop()
    weights = request.volume_weights
    campaign = Campaign(
        folder,
        {**request.dataset, "overwrite_image_reader_writer": reader},
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
        as_json(request.to_json()),
    )
    asking, _ = choose_round(campaign, request.variant, {}, request.device, num_processes)
    if len(asking.slices) < _LEAST_ANNOTATED:
        logger.warning(
            "1 volume gets slices; nnU-Net needs %d annotated ones, one to validate on",
            _LEAST_ANNOTATED,
        )
    return campaign.with_round(asked_twice(campaign, asking, request.second_reader))


def _geometries(request: CampaignRequest, found: Mapping[str, Geometry]) -> dict[str, Geometry]:
    """Geometry of every volume, whose channels must lie on the same voxels."""
    geometries = {}
    for volume in request.volumes:
        names = [image.name for _, image in _images(Path(), volume)]
        first = found[names[0]]
        for source, name in zip(volume.channels, names, strict=True):
            check_same_voxels(source, found[name], volume.channels[0], first, "channel 0 of")
        geometries[volume.case_id] = first
    warn_of_disagreement({v.channels[0]: geometries[v.case_id] for v in request.volumes})
    return geometries
