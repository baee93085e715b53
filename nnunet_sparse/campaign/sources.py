"""What a campaign is made of: its volumes, and the channels and labels it declares."""

import logging
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

from nnunet_sparse.campaign.annotated_case import composed
from nnunet_sparse.campaign.campaign_options import DEFAULT_CHANNEL
from nnunet_sparse.campaign.find_volumes import (
    SourceVolume,
    find_volumes,
    volumes_of_dataset,
    without,
)
from nnunet_sparse.data.dataset_name import find_dataset
from nnunet_sparse.data.declared_labels import (
    BACKGROUND,
    IGNORE,
    LabelError,
    LabelRule,
    declared_labels,
    values_of,
)
from nnunet_sparse.data.raw_dataset import RawDataset
from nnunet_sparse.system.errors import SparseError
from nnunet_sparse.system.paths import configured_paths
from nnunet_sparse.system.wording import command_line

logger = logging.getLogger(__name__)


def find_sources(
    images: Sequence[Path],
    dataset: str | None = None,
    labels: Sequence[str] | None = None,
    channels: Sequence[str] | None = None,
    exclude: Collection[str] = (),
) -> tuple[dict[str, Any], list[SourceVolume]]:
    """Find the volumes of a campaign, and what is to be annotated in them.

    Parameters
    ----------
    images
        Folders, files and lists of volumes, or the folder of an nnU-Net data set.
    dataset
        Instead: name or ID of a data set in ``nnUNet_raw``.
    labels
        Names of labels 1, 2, ...; None for those that the data set declares.
    channels
        Names of the image channels; None for those that the data set declares, else one.
    exclude
        IDs of cases to leave out.

    Returns
    -------
    declared : dict
        ``channel_names`` and ``labels`` as in ``dataset.json``, without ignore, and
        ``regions_class_order`` where labels are regions.
    volumes : list of SourceVolume
        Sorted by case ID.

    Raises
    ------
    SparseError
        If there are no volumes, channels or labels do not go with them, or nnU-Net does not take
        the labels.
    """
    if not images and dataset is None:
        _refuse_swallowed("--labels", labels)
        _refuse_swallowed("--channels", channels)
    if bool(images) == (dataset is not None):
        raise SparseError("name the volumes, or a data set with -d")
    raw = None
    if dataset is not None:
        paths = configured_paths()
        raw = RawDataset.open(paths.raw / find_dataset(paths, dataset))
    elif len(images) == 1 and (images[0] / "dataset.json").is_file():
        raw = RawDataset.open(images[0].absolute())
    if raw is None:
        if labels is None:
            raise SparseError("--labels must name what is to be annotated")
        names = channels or [DEFAULT_CHANNEL]
        return (
            {"channel_names": _numbered(names), "labels": _labels(labels)},
            find_volumes(images, len(names), exclude),
        )
    return _declared(raw, labels, channels), without(volumes_of_dataset(raw), exclude)


def _refuse_swallowed(option: str, names: Sequence[str] | None) -> None:
    """Explain where volumes went that are named after an option with several values."""
    if names and Path(names[-1]).exists():
        raise SparseError(
            f"{option} takes all that follows, {names[-1]} as well: volumes come first, as in "
            f"{command_line('nnsparse_worklist', 'make', names[-1])} -o FOLDER {option} ..."
        )


def _declared(
    raw: RawDataset, named: Sequence[str] | None, channels: Sequence[str] | None
) -> dict[str, Any]:
    """Channels and labels of a data set, whose labels may be left to the command line."""
    if channels is not None and len(channels) != raw.num_channels:
        raise SparseError(
            f"--channels names {len(channels)} channels, {raw.name} has {raw.num_channels}"
        )
    channel_names = raw.channel_names if channels is None else _numbered(channels)
    labels = {n: v for n, v in raw.dataset_json["labels"].items() if n != IGNORE}
    if not any(value for value in raw.label_values):
        if named is None:
            raise SparseError(
                f"{raw.folder / 'dataset.json'} declares no label but background; name them with "
                "--labels"
            )
        labels = _labels(named)
    elif named is not None and _labels(named) != labels:
        raise SparseError(
            f"{raw.folder / 'dataset.json'} declares the labels {', '.join(labels)}; leave out "
            "--labels"
        )
    if any(case.label is not None for case in raw.training.values()):
        logger.info("Labels of %s are not looked at", raw.name)
    order = raw.dataset_json.get("regions_class_order")
    declared = {
        "channel_names": dict(channel_names),
        "labels": labels,
        **({} if order is None else {"regions_class_order": order}),
    }
    try:
        _check_labels(declared)
    except LabelError as error:
        raise SparseError(
            f"{raw.folder / 'dataset.json'}: nnU-Net does not take these labels: {error}"
        ) from error
    return declared


def _check_labels(declared: dict[str, Any]) -> None:
    """Refuse labels that nnU-Net does not take, and two names of one class.

    nnU-Net would take the names for one class; an annotator could not tell which is meant.
    """
    labels = declared_labels(declared)
    found = sorted(value for entry in declared["labels"].values() for value in values_of(entry))
    if not labels.has_regions and len(set(found)) < len(found):
        reason = f"values must differ where labels are no regions, got {found}"
        raise LabelError(LabelRule.VALUE, reason)


def _labels(names: Sequence[str]) -> dict[str, int]:
    """Labels by name, background included."""
    for name in names:
        if name.lower() in {BACKGROUND, IGNORE}:
            raise SparseError(f"label {name!r} is there anyway; --labels names the others")
        if not name.strip() or not name.isprintable():
            raise SparseError(f"{name!r} is no name for a label")
    if len({composed(name) for name in names}) < len(names):
        raise SparseError("--labels names a label twice")
    return {BACKGROUND: 0, **{name: value for value, name in enumerate(names, 1)}}


def _numbered(names: Sequence[str]) -> dict[str, str]:
    return {str(number): name for number, name in enumerate(names)}
