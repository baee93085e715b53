"""Making a dense data set from a slice-sparse one by interpolating its labels."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np

from nnunet_sparse.data.declared_labels import ignore_label_for
from nnunet_sparse.data.folds import SPLITS_FILE
from nnunet_sparse.data.geometry import read_geometry
from nnunet_sparse.data.image_files import read_image
from nnunet_sparse.data.raw_dataset import INTERPOLATION_FILE, SELECTION_FILE, Case, RawDataset
from nnunet_sparse.data.same_voxels import check_same_voxels
from nnunet_sparse.data.training_images import TrainingImages
from nnunet_sparse.dataset_tools.interpolated_labels import (
    AskNetwork,
    LabelJob,
    sparse_label_of,
    write_labels,
)
from nnunet_sparse.dataset_tools.interpolation_source import (
    InterpolationSource,
    open_interpolation_source,
)
from nnunet_sparse.dataset_tools.publish import check_available, publish
from nnunet_sparse.dataset_tools.sparse_folder import (
    DATASET_FILE,
    SOURCES_FILE,
    label_sources,
    link_cases,
)
from nnunet_sparse.interpolation.method import FromNetwork
from nnunet_sparse.interpolation.request import Interpolation
from nnunet_sparse.interpolation.slice_stack import read_slice_stack
from nnunet_sparse.prediction.predicted_volume import predict_volume
from nnunet_sparse.prediction.trained_network import TrainedNetwork
from nnunet_sparse.selection.selection import Selection
from nnunet_sparse.system.devices import best_device, check_device
from nnunet_sparse.system.errors import SparseError
from nnunet_sparse.system.parallel import map_cases
from nnunet_sparse.system.paths import NnUNetPaths

_VERSION = 1


@dataclass(frozen=True)
class InterpolatedDataset:
    """An interpolated data set.

    Attributes
    ----------
    folder
        Its folder.
    created
        Whether this call made it; False if it existed.
    selection
        Which slices of which volumes people have annotated.
    """

    folder: Path
    created: bool
    selection: Selection


def interpolate_dataset(
    paths: NnUNetPaths,
    sparse: str,
    interpolation: Interpolation,
    *,
    model: TrainedNetwork | None = None,
    device: str | None = None,
    dataset_id: int | None = None,
    num_processes: int = 1,
    overwrite: bool = False,
) -> InterpolatedDataset:
    """Write an nnU-Net raw data set in which the labels of a sparse one are interpolated.

    Annotated slices stay as they are. A call that was killed goes on at the volume where it was.

    Parameters
    ----------
    paths
        nnU-Net's folders.
    sparse
        Name or ID of a data set that :func:`make_dataset` has made, or, for a trained network, that
        was imported from a campaign.
    interpolation
        How it is done; a network that is needed is trained if it has not been.
    model
        The trained network that the interpolation names, for the method that predicts with one.
    device
        Where the network runs; None for a GPU if there is one.
    dataset_id
        ID of the new data set; None for a free one.
    num_processes
        Number of processes; the result does not depend on it.
    overwrite
        Replace a data set of the same name that has other content.

    Raises
    ------
    SparseError
        For everything that the user can set right; nothing is left behind.
    """
    if interpolation.model != ("" if model is None else model.digest):
        raise ValueError("the interpolation is of another model")
    if interpolation.uses_model and model is None:
        raise SparseError(f"{interpolation.method} needs a trained network: give --model FOLDER")
    source = open_interpolation_source(paths, sparse, interpolation)
    raw, base, selection = source.raw, source.base, source.selection
    if model is not None:
        model.check_fits(raw)
    variant = replace(selection.variant, interpolation=interpolation)
    filled = replace(selection, variant=variant)
    documents = {
        DATASET_FILE: source.dataset_json(),
        SPLITS_FILE: source.folds,
        SELECTION_FILE: filled.to_json(),
        SOURCES_FILE: label_sources(raw, selection.cases),
    }
    suffix = source.suffix(interpolation)
    # what can be refused, before minutes of work
    check_device(device)
    existing = check_available(paths, suffix, documents, dataset_id, overwrite)
    if existing is None or overwrite:
        _check_cases(source, num_processes)
    digest, ask_network = None, None
    if interpolation.uses_network:
        request = interpolation.network(device)
        images = TrainingImages(paths, base, source.split.train, selection.axis)
        trained_before = request.model_of(images).checkpoint.is_file()
        if existing is not None and not overwrite and not trained_before:
            # the network is not needed any more
            return InterpolatedDataset(existing, False, filled)
        trained = request.restore(request.train(images, num_processes))
        digest = trained.digest
        ask_network = _warp_of(interpolation, trained.network, raw, selection.axis)
    documents[INTERPOLATION_FILE] = {
        "version": _VERSION,
        "interpolation": interpolation.to_json(),
        "network": digest,
    }
    if model is not None:
        documents[INTERPOLATION_FILE] |= {"network": model.digest, "model": model.provenance()}
        model.warn_of_test_cases(paths, (base.case(c) for c in source.split.test))
        owners = [paths.preprocessed / dataset.name for dataset in (base, raw)]
        ask_network = _prediction_of(model, raw, selection.axis, owners, device)

    def fill(folder: Path) -> None:
        write_labels(folder, source, interpolation, ask_network, num_processes)
        link_cases(folder, base, source.split)

    publication = publish(
        paths,
        suffix,
        documents,
        fill,
        dataset_id=dataset_id,
        overwrite=overwrite,
    )
    return InterpolatedDataset(publication.folder, publication.created, filled)


def _warp_of(
    interpolation: Interpolation, network: Any, source: RawDataset, axis: int
) -> AskNetwork:
    """What gives a case its warp."""

    def warp(case: Case, _: Path) -> FromNetwork:
        stack = read_slice_stack(case.images, source.reader(), axis)
        return interpolation.warp(network, stack)

    return warp


def _prediction_of(
    model: TrainedNetwork,
    source: RawDataset,
    axis: int,
    owners: Sequence[Path],
    device: str | None,
) -> AskNetwork:
    """What predicts a case; the network is loaded for the first one."""
    read = partial(read_image, reader=source.reader())

    @cache
    def loaded() -> Any:
        from nnunet_sparse.prediction.loaded_network import LoadedNetwork

        return LoadedNetwork(model, best_device(device))

    def predict(case: Case, scratch: Path) -> FromNetwork:
        network = loaded()
        image = network.prepare(case.images, read, case.case_id, owners)
        return predict_volume(network, image, axis, case.case_id, scratch)

    return predict


def _check_cases(source: InterpolationSource, num_processes: int) -> None:
    """Refuse labels that cannot be interpolated, before minutes of work."""
    raw = source.raw
    ignore_label = ignore_label_for(raw.dataset_json["labels"])
    check = partial(
        _check_case,
        reader=raw.reader(),
        axis=source.selection.axis,
        ignore_label=ignore_label,
        may_be_partial=source.may_be_partial,
        declared=frozenset({*raw.label_values, ignore_label}),
    )
    jobs = {
        case_id: LabelJob(raw.training[case_id], raw.folder, case)
        for case_id, case in source.filled.cases.items()
    }
    map_cases(check, jobs, num_processes, "Checking labels")


def _check_case(
    job: LabelJob,
    reader: str,
    axis: int,
    ignore_label: int,
    may_be_partial: bool,
    declared: frozenset[int],
) -> None:
    file = job.case.label
    assert file is not None
    label, _ = sparse_label_of(job, reader, axis, ignore_label, may_be_partial)
    if wrong := sorted({int(value) for value in np.unique(label)} - declared):
        raise SparseError(
            f"{file} holds label values {wrong[:5]} that dataset.json does not declare "
            f"(declared: {sorted(declared)})"
        )
    geometry = read_geometry(file, reader)
    for image in job.case.images:
        check_same_voxels(file, geometry, image, read_geometry(image, reader), "its image")
