"""Measurements of interpolated labels case by case, each kept in a file."""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from tqdm import tqdm

from nnunet_sparse.data.declared_labels import foreground_values
from nnunet_sparse.data.geometry import read_spacing
from nnunet_sparse.data.image_files import read_image
from nnunet_sparse.data.label_files import read_label
from nnunet_sparse.data.raw_dataset import Case, RawDataset
from nnunet_sparse.data.sliced_volume import read_sliced_volume
from nnunet_sparse.data.training_images import TrainingImages
from nnunet_sparse.interpolation.dense_label import NEVER_REACHED, PREDICTED
from nnunet_sparse.interpolation.interpolator_request import InterpolatorRequest
from nnunet_sparse.interpolation.method import FromNetwork
from nnunet_sparse.interpolation.request import Interpolation
from nnunet_sparse.interpolation.slice_stack import SliceStack, read_slice_stack
from nnunet_sparse.prediction.predicted_volume import PredictedVolume, predict_volume
from nnunet_sparse.report.interpolation.interpolation_quality import (
    CaseQuality,
    from_json,
    measure_case,
    to_json,
)
from nnunet_sparse.system.atomic import as_json, write_json
from nnunet_sparse.system.errors import SparseError
from nnunet_sparse.system.json_files import load_json
from nnunet_sparse.system.parallel import map_cases

if TYPE_CHECKING:
    from nnunet_sparse.features.image_network import TrainedNetwork
    from nnunet_sparse.interpolation.network import CorrespondenceNetwork
    from nnunet_sparse.prediction.loaded_network import LoadedNetwork
    from nnunet_sparse.report.interpolation.quality_figures import WorstSlice

    Networks = Mapping[InterpolatorRequest, TrainedNetwork[CorrespondenceNetwork]]

Chosen = Mapping[str, Mapping[float, tuple[int, ...]]]
"""Annotated slices of a case by selector and density."""

_VERSION = 1
_WORST = 6


def measure_cases(
    images: TrainingImages,
    chosen: Mapping[str, Chosen],
    ways: Sequence[Interpolation],
    networks: "Networks",
    folder: Path,
    *,
    model: "LoadedNetwork | None" = None,
    overwrite: bool = False,
    num_processes: int = 1,
) -> dict[str, list[CaseQuality]]:
    """Measure the cases whose file is not there, one after the other where a network is used.

    Parameters
    ----------
    images
        Training images of a dense data set.
    chosen
        Annotated slices of every case.
    ways
        What is measured.
    networks
        Those that the ways need.
    folder
        Holds a file for each case that has been measured.
    model
        The trained network, of a way that predicts with one.
    overwrite
        Whether these are measured again.
    num_processes
        Number of processes where no network is needed.

    Raises
    ------
    SparseError
        If a case has no label.
    """
    found, todo, asked = {}, {}, {}
    labels = foreground_values(images.raw.dataset_json["labels"])
    for case_id in images.cases:
        asked[case_id] = {
            "version": _VERSION,
            "axis": images.axis,
            "labels": labels,
            "spacing": list(_spacing(images.raw.training[case_id], images.raw, images.axis)),
            **_asked(images.raw.training[case_id], chosen[case_id], ways, networks),
        }
        known = None if overwrite else _read(folder / f"{case_id}.json", asked[case_id])
        if known is None:
            todo[case_id] = _Job(images.raw.training[case_id], chosen[case_id], asked[case_id])
        else:
            found[case_id] = known
    measure = partial(_measure, images=images, ways=ways, labels=labels, folder=folder)
    if not networks and model is None:
        measured: Iterable[tuple[str, list[CaseQuality]]] = map_cases(
            measure, todo, num_processes, "Measuring"
        ).items()
    else:
        bar = tqdm(todo.items(), "Measuring", leave=False, disable=None)
        measured = ((case_id, measure(job, networks=networks, model=model)) for case_id, job in bar)
    found.update(measured)
    return {case_id: found[case_id] for case_id in images.cases}


@dataclass(frozen=True)
class _Job:
    """A case, its annotated slices, and what its measurement depends on."""

    files: Case
    chosen: Chosen
    asked: Mapping[str, Any]


def _measure(
    job: _Job,
    images: TrainingImages,
    ways: Sequence[Interpolation],
    labels: Mapping[str, Sequence[int]],
    folder: Path,
    networks: "Networks | None" = None,
    model: "LoadedNetwork | None" = None,
) -> list[CaseQuality]:
    """Measure a case and write its file."""
    files = job.files
    label = _label(files, images.raw, images.axis)
    ask_network = _ask_networks(files, images, networks or {}, model, folder)
    spacing = _spacing(files, images.raw, images.axis)
    found: list[CaseQuality] = []
    for selector, slices in job.chosen.items():
        of_selector = measure_case(label, slices, ways, labels, spacing, ask_network)
        name = selector if len(job.chosen) > 1 else ""
        found += [replace(quality, selector=name) for quality in of_selector]
    content = {"asked": job.asked, "found": to_json(found)}
    write_json(folder / f"{files.case_id}.json", content)
    return found


def _ask_networks(
    files: Case,
    images: TrainingImages,
    networks: "Networks",
    model: "LoadedNetwork | None",
    scratch: Path,
    encode: bool = True,
) -> Callable[[Interpolation], tuple[FromNetwork, float]]:
    """What gives the ways of a case what they need of a network, and the seconds it took."""
    made: dict[InterpolatorRequest | str, tuple[Any, float]] = {}

    @cache
    def volume() -> SliceStack:
        return read_slice_stack(files.images, images.raw.reader(), images.axis)

    def prediction() -> PredictedVolume:
        assert model is not None
        read = partial(read_image, reader=images.raw.reader())
        owners = [images.paths.preprocessed / images.raw.name]
        image = model.prepare(files.images, read, files.case_id, owners)
        return predict_volume(model, image, images.axis, files.case_id, scratch)

    def ask(way: Interpolation) -> tuple[FromNetwork, float]:
        if way.uses_model:
            if way.model not in made:
                start = time.perf_counter()
                made[way.model] = prediction(), time.perf_counter() - start
            return made[way.model]
        if not way.uses_network:
            return None, 0.0
        from nnunet_sparse.interpolation.warp import CorrespondenceWarp

        if (request := way.network()) not in made:
            warp = CorrespondenceWarp(networks[request].network, volume())
            start = time.perf_counter()
            # where they are not kept, every interpolation computes them
            if encode and warp.keeps_all:
                warp.encode_all()
            made[request] = warp, time.perf_counter() - start
        warp, seconds = made[request]
        return way.checked(warp, volume().slices), seconds

    return ask


def worst_slices(
    images: TrainingImages,
    chosen: Mapping[str, Chosen],
    ways: Sequence[Interpolation],
    networks: "Networks",
    found: Mapping[str, Sequence[CaseQuality]],
    folder: Path,
    model: "LoadedNetwork | None" = None,
) -> "list[WorstSlice]":
    """Slices with most wrong voxels, one of a case: first method and selector, lowest density."""
    from nnunet_sparse.report.interpolation.quality_figures import WorstSlice

    way = ways[0]
    rho = min(quality.rho for qualities in found.values() for quality in qualities)
    name = way.name.removeprefix("mi_")
    of_case = {
        case_id: next(q.worst for q in qualities if (q.rho, q.method) == (rho, name))
        for case_id, qualities in found.items()
    }
    worst_cases = sorted(of_case, key=lambda case_id: -of_case[case_id][1])[:_WORST]
    shown = []
    for case_id in worst_cases:
        index, wrong = of_case[case_id]
        if index < 0:
            continue
        files = images.raw.training[case_id]
        volume = read_sliced_volume(images.raw, files, files.label, images.axis)
        annotated = np.zeros(len(volume.label), bool)
        slices = next(iter(chosen[case_id].values()))[rho]
        annotated[list(slices)] = True
        sparse = np.where(annotated[:, None, None], volume.label, 0)
        ask = _ask_networks(files, images, networks, model, folder, encode=False)
        spacing = _spacing(files, images.raw, images.axis)
        filled = way.fill(sparse, annotated, spacing, ask(way)[0])
        came = "nothing came"
        if filled.source[index] == PREDICTED:
            came = "predicted"
        elif filled.source[index] != NEVER_REACHED:
            came = f"from slice {filled.source[index]}"
            if not filled.label[index].any():
                came += ",\naveraged to background"
        title = f"{case_id}, slice {index}\n{name}, rho {rho:g}\n{wrong} wrong, {came}"
        shown.append(WorstSlice(title, volume, index, filled.label[index]))
    return shown


def _label(files: Case, raw: RawDataset, axis: int) -> np.ndarray:
    if files.label is None:
        raise SparseError(f"case {files.case_id} of {raw.name} has no label")
    return np.moveaxis(read_label(files.label, raw.reader()), axis, 0)


def _spacing(files: Case, raw: RawDataset, axis: int) -> tuple[float, float]:
    """Spacing of the slices in mm, along y and x."""
    y, x = np.delete(read_spacing(files.images[0], raw.reader()), axis).tolist()
    return y, x


def _asked(
    files: Case, chosen: Chosen, ways: Sequence[Interpolation], networks: "Networks"
) -> dict[str, Any]:
    """What a measurement depends on, as JSON holds it."""
    slices = {
        selector: {f"{rho:g}": indices for rho, indices in by_density.items()}
        for selector, by_density in chosen.items()
    }
    digests = [trained.digest for trained in networks.values()]
    statuses = [file.stat() for file in (*files.images, files.label) if file is not None]
    content = {
        "files": [[status.st_size, status.st_mtime_ns] for status in statuses],
        "slices": slices if len(slices) > 1 else next(iter(slices.values())),
        "ways": [way.to_json() for way in ways],
        "network": digests if len(digests) > 1 else next(iter(digests), None),
    }
    return dict(as_json(content))


def _read(file: Path, asked: Mapping[str, Any]) -> list[CaseQuality] | None:
    try:
        content = load_json(file)
        if content["asked"] != asked:
            return None
        # in the order of the data set, as they are measured; the file has them sorted
        return [
            replace(
                quality,
                mixed={name: quality.mixed[name] for name in asked["labels"]},
                propagated={name: quality.propagated[name] for name in asked["labels"]},
            )
            for quality in from_json(content["found"])
        ]
    except (OSError, ValueError, LookupError, TypeError, AttributeError):
        return None
