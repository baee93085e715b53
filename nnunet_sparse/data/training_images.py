"""Training images of a base: what networks that need no labels are trained on."""

import argparse
from dataclasses import dataclass

from nnunet_sparse.data.dataset_name import find_dataset
from nnunet_sparse.data.dataset_options import split_request
from nnunet_sparse.data.geometry import read_geometry, resolve_axis
from nnunet_sparse.data.raw_dataset import RawDataset
from nnunet_sparse.data.split import SplitRequest, find_split, keep_split
from nnunet_sparse.system.devices import check_device
from nnunet_sparse.system.errors import SparseError
from nnunet_sparse.system.paths import NnUNetPaths, configured_paths


@dataclass(frozen=True)
class TrainingImages:
    """Training cases of a base.

    Attributes
    ----------
    paths
        nnU-Net's folders.
    raw
        The base.
    cases
        Its training cases.
    axis
        Slice axis of the array as read.
    """

    paths: NnUNetPaths
    raw: RawDataset
    cases: tuple[str, ...]
    axis: int


def find_training_images(args: argparse.Namespace) -> TrainingImages:
    """Training images that a command line asks for.

    Parameters
    ----------
    args
        With ``base``, ``axis``, ``device`` and the choices of a split.

    Raises
    ------
    SparseError
        For everything that the user can set right.
    """
    check_device(args.device)
    return open_training_images(configured_paths(), args.base, args.axis, split_request(args))


def open_training_images(
    paths: NnUNetPaths, base: str, axis: str, request: SplitRequest
) -> TrainingImages:
    """Training images of a base; a split that is new is kept.

    Parameters
    ----------
    paths
        nnU-Net's folders.
    base
        Name or ID of a dense data set.
    axis
        Slice axis, as users name it.
    request
        How the base is split where it has no split yet.

    Raises
    ------
    SparseError
        For everything that the user can set right.
    """
    from nnunet_sparse.data.check_base import check_dataset
    from nnunet_sparse.dataset_tools.make_dataset import check_axis

    check_axis(axis)
    raw = RawDataset.open(paths.raw / find_dataset(paths, base))
    check_dataset(raw)
    split, is_new = find_split(raw, paths, request)
    geometries = {
        case_id: read_geometry(raw.training[case_id].images[0], raw.reader())
        for case_id in split.train
    }
    array_axis = resolve_axis(axis, geometries)
    if all(geometry.shape[array_axis] == 1 for geometry in geometries.values()):
        raise SparseError(
            f"all training volumes of {raw.name} have one slice along axis {array_axis}"
        )
    if is_new:
        keep_split(split, paths, raw.name)
    return TrainingImages(paths, raw, split.train, array_axis)
