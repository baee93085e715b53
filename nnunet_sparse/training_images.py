"""Training images of a base: what networks that need no labels are trained on."""

import argparse
from dataclasses import dataclass

from nnunet_sparse.dataset_name import find_dataset
from nnunet_sparse.devices import check_device
from nnunet_sparse.errors import SparseError
from nnunet_sparse.geometry import read_geometry, resolve_axis
from nnunet_sparse.paths import NnUNetPaths, configured_paths
from nnunet_sparse.raw_dataset import RawDataset
from nnunet_sparse.split import SplitRequest, find_split, keep_split


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
    """Training images that a command line asks for; a split that is new is kept.

    Parameters
    ----------
    args
        With ``base``, ``axis``, ``device`` and the choices of a split.

    Raises
    ------
    SparseError
        For everything that the user can set right.
    """
    from nnunet_sparse.dataset_tools.check_base import check_dataset
    from nnunet_sparse.dataset_tools.make_dataset import check_axis

    check_axis(args.axis)
    check_device(args.device)
    paths = configured_paths()
    raw = RawDataset.open(paths.raw / find_dataset(paths, args.base))
    check_dataset(raw)
    request = SplitRequest(args.val, args.test, args.split_file, args.split_seed)
    split, is_new = find_split(raw, paths, request)
    geometries = {
        case_id: read_geometry(raw.training[case_id].images[0], raw.reader())
        for case_id in split.train
    }
    axis = resolve_axis(args.axis, geometries)
    if all(geometry.shape[axis] == 1 for geometry in geometries.values()):
        raise SparseError(f"all training volumes of {raw.name} have one slice along axis {axis}")
    if is_new:
        keep_split(split, paths, raw.name)
    return TrainingImages(paths, raw, split.train, axis)
