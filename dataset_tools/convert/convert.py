"""Convert a published data set to a raw data set of nnU-Net."""

import functools
import json
import logging
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk

from nnunet_sparse.data.dataset_name import check_range, check_suffix, find_named
from nnunet_sparse.data.nifti import write_nifti
from nnunet_sparse.data.split import Split, keep_split, split_file
from nnunet_sparse.dataset_tools.convert.conversion_record import (
    REPORT_FILE,
    Record,
    case_record,
    check_replaceable,
    read_parameters,
    write_report,
)
from nnunet_sparse.dataset_tools.convert.paper_split import split_by_patient
from nnunet_sparse.dataset_tools.convert.published_tasks import PUBLISHED_TASKS, PublishedTask
from nnunet_sparse.dataset_tools.convert.resample import (
    resample_image,
    resample_label,
    voxels_outside,
)
from nnunet_sparse.dataset_tools.convert.source_cases import FoundCases, LabelledVolume, SourceCase
from nnunet_sparse.dataset_tools.convert.target_grid import (
    Size,
    TargetGrid,
    Triple,
    native_grid,
    target_grid,
)
from nnunet_sparse.dataset_tools.earlier_partials import is_called
from nnunet_sparse.dataset_tools.new_dataset import (
    DatasetRequest,
    check_free,
    dataset_lock,
    new_dataset,
    recover_datasets,
    remove_unfinished,
)
from nnunet_sparse.system.atomic import write_json
from nnunet_sparse.system.errors import SparseError
from nnunet_sparse.system.json_files import load_json, read_json
from nnunet_sparse.system.json_form import OBJECT, Keys, NamesTo, check_form
from nnunet_sparse.system.parallel import map_cases
from nnunet_sparse.system.paths import NnUNetPaths
from nnunet_sparse.system.wording import first_of

logger = logging.getLogger(__name__)

FILE_ENDING = ".nii.gz"
# folder of the records of finished cases, while the data set is unfinished
_RECORDS = ".records"
_VERSION = 1
_NUM_NAMED = 20
_SIGNED = {1: sitk.sitkInt8, 2: sitk.sitkInt16, 4: sitk.sitkInt32}  # by their bytes


@dataclass(frozen=True)
class Voxels:
    """Spacing and size that converted volumes are to have, (z, y, x)."""

    spacing_mm: Triple
    size: Size


@dataclass(frozen=True)
class Converted:
    """A converted data set.

    Attributes
    ----------
    folder
        ``nnUNet_raw/DatasetXXX_Name``.
    created
        Whether this call made it.
    split
        Its split.
    cases
        Record of every case.
    """

    folder: Path
    created: bool
    split: Split
    cases: dict[str, Record]


def split_of(task: PublishedTask, found: FoundCases, seed: int) -> Split:
    """Split with the paper's sizes, or in its proportions if there are more or fewer cases.

    Raises
    ------
    SparseError
        If there are fewer than three cases or patients.
    """
    sizes = task.split.scaled(len(found.cases))
    if sizes != task.split:
        logger.info(
            "%s: %d cases, the paper has %d (%s); split in its proportions: %s",
            task.name,
            len(found.cases),
            task.split.total,
            task.split,
            sizes,
        )
    patients = {case_id: case.patient for case_id, case in found.cases.items()}
    return split_by_patient(patients, sizes, seed)


def check_sources(key: str, found: FoundCases, num_processes: int) -> None:
    """Refuse damaged source files before anything is written, and warn of what they lack.

    Raises
    ------
    SparseError
        With the name of the first such file.
    """
    task = PUBLISHED_TASKS[key]
    notes = map_cases(task.check, found.cases, num_processes, f"Checking {task.name}")
    for note in sorted({note for note in notes.values() if note is not None}):
        cases = [case_id for case_id in sorted(notes) if notes[case_id] == note]
        logger.warning("%d cases (%s): %s", len(cases), first_of(cases, _NUM_NAMED), note)


def convert(
    paths: NnUNetPaths,
    key: str,
    root: Path,
    found: FoundCases,
    voxels: Voxels | None,
    *,
    dataset_id: int | None = None,
    name: str | None = None,
    seed: int = 0,
    num_processes: int = 1,
    overwrite: bool = False,
) -> Converted:
    """Convert the cases of a published data set, unless this has been done.

    Parameters
    ----------
    paths
        nnU-Net's folders; missing ones are created.
    key
        Task, a key of ``PUBLISHED_TASKS``.
    root
        Folder of the source, to which recorded paths are relative.
    found
        Cases of the source.
    voxels
        Spacing and size of the converted volumes; None to keep the source's voxels.
    dataset_id, name
        ID and name of the data set; by default a free one and the task's.
    seed
        Seed of the split.
    num_processes
        Number of parallel processes; it does not change the result.
    overwrite
        Replace a converted data set of that name. Its split cannot change.

    Raises
    ------
    SparseError
        If a source file is damaged or holds what the task does not have, a label would vanish, the
        ID is taken, or the name is taken by something else.
    """
    task, name = PUBLISHED_TASKS[key], PUBLISHED_TASKS[key].name if name is None else name
    check_suffix(name)
    check_range(dataset_id)
    split = split_of(task, found, seed)
    request = DatasetRequest(name, _parameters(key, voxels, seed, found))
    belongs = functools.partial(is_called, name=name, beside=REPORT_FILE)
    recover_datasets(paths.raw, name)
    existing = find_named(paths.raw, name, dataset_id)
    if dataset_id is not None and existing is None:
        check_free(paths, request, dataset_id, belongs)
    paths.make_folders()
    with dataset_lock(paths.raw, name):
        existing = find_named(paths.raw, name, dataset_id)
        if existing is not None and not overwrite:
            same = _same(paths.raw / existing, request.parameters, split)
            remove_unfinished(paths, request, belongs)
            return same
        if existing is not None:
            check_replaceable(paths.raw / existing)
            _check_split(paths, existing, split)
        check_sources(key, found, num_processes)
        work = functools.partial(_convert_case, key=key, root=root, voxels=voxels)
        with new_dataset(
            paths,
            request,
            dataset_id=dataset_id,
            replaced=existing,
            belongs=belongs,
            commit=functools.partial(keep_split, split, paths),
        ) as (folder, full_name):
            records = _convert_cases(folder, work, split, found, num_processes)
            write_json(folder / "dataset.json", _dataset_json(task, name, split), sort_keys=False)
            write_report(folder, request.parameters, found.left_out, records)
            shutil.rmtree(folder / _RECORDS)
    return Converted(paths.raw / full_name, True, split, records)


def _parameters(key: str, voxels: Voxels | None, seed: int, found: FoundCases) -> dict[str, Any]:
    spacings = {c: list(case.spacing_mm) for c, case in found.cases.items() if case.spacing_mm}
    return {
        "version": _VERSION,
        "task": key,
        "spacing_mm": None if voxels is None else [float(mm) for mm in voxels.spacing_mm],
        "size": None if voxels is None else list(voxels.size),
        "seed": seed,
        "cases": sorted(found.cases),
        **({"spacings": spacings} if spacings else {}),
    }


def _same(folder: Path, parameters: Mapping[str, Any], split: Split) -> Converted:
    """The existing data set, if it has been made with the same parameters."""
    if read_parameters(folder) != parameters:
        raise SparseError(
            f"{folder} exists with other content; give another --name, or --overwrite to replace a "
            "converted data set"
        )
    report = load_json(folder / REPORT_FILE)
    check_form(report, Keys({"cases": NamesTo(OBJECT)}), str(folder / REPORT_FILE))
    return Converted(folder, False, split, report["cases"])


def _check_split(paths: NnUNetPaths, full_name: str, split: Split) -> None:
    """Refuse to give a data set another split: what was trained on it would be compared wrongly."""
    file = split_file(paths, full_name)
    if file.exists() and load_json(file) != json.loads(json.dumps(split.to_json())):
        raise SparseError(
            f"{full_name} has another split in {file}, which never changes, so that results stay "
            "comparable; give another --name"
        )


def _dataset_json(task: PublishedTask, name: str, split: Split) -> dict[str, Any]:
    roles = {"nnsparse": {"roles": {"context": list(task.context)}}} if task.context else {}
    return {
        "name": name,
        "description": task.description,
        "licence": task.licence,
        "reference": task.reference,
        "channel_names": {"0": task.channel_name},
        "labels": task.labels,
        "numTraining": len(split.train) + len(split.val),
        "file_ending": FILE_ENDING,
        "overwrite_image_reader_writer": "SimpleITKIO",
        **roles,
    }


def _convert_cases(
    folder: Path,
    work: Callable[[tuple[Path, str, SourceCase]], Record],
    split: Split,
    found: FoundCases,
    num_processes: int,
) -> dict[str, Record]:
    """Convert the cases that a killed call has not finished, and collect the records of all."""
    for sub in ("imagesTr", "labelsTr", "imagesTs", "labelsTs", _RECORDS):
        (folder / sub).mkdir(exist_ok=True)
    parts = {case_id: part for part in ("train", "val", "test") for case_id in getattr(split, part)}
    jobs = {c: (folder, "Ts" if parts[c] == "test" else "Tr", found.cases[c]) for c in found.cases}
    records = map_cases(work, jobs, num_processes, "Converting")
    return {case_id: {"part": parts[case_id], **records[case_id]} for case_id in sorted(records)}


def _convert_case(
    job: tuple[Path, str, SourceCase], *, key: str, root: Path, voxels: Voxels | None
) -> Record:
    """Write image and label of a case, and its record when both are complete."""
    folder, where, case = job
    file = folder / _RECORDS / f"{case.case_id}.json"
    state = _state_of(case)
    if file.exists():
        done = read_json(file)
        record = done.get("record") if isinstance(done, dict) else None
        # earlier versions cut off what they interpolated, and did not tell of lost spacings
        if isinstance(record, dict) and done["sources"] == state and "spacing_from" in record:
            return record
    task = PUBLISHED_TASKS[key]
    volume = task.read(case)
    grid = _grid(volume, voxels)
    lost = voxels_outside(sitk.GetArrayViewFromImage(volume.keep), volume.keep, grid)
    if lost:
        raise SparseError(
            f"{case.image}: {lost} foreground voxels would lie outside the converted volume"
        )
    source = volume.image if voxels is None else _holding(volume.image, task.padding)
    image = resample_image(source, grid, task.padding)
    label, restored = resample_label(volume.label, grid)
    record = case_record(case, root, volume, grid, label, task.labels)
    record |= {"restored_objects": restored, "foreground_lost": lost}
    _check_labels(case, record)
    write_nifti(image, folder / f"images{where}" / f"{case.case_id}_0000{FILE_ENDING}")
    write_nifti(label, folder / f"labels{where}" / f"{case.case_id}{FILE_ENDING}")
    write_json(file, {"sources": state, "record": record})
    return record


def _grid(volume: LabelledVolume, voxels: Voxels | None) -> TargetGrid:
    if voxels is None:
        return native_grid(volume.image)
    keep = sitk.GetArrayViewFromImage(volume.keep)
    return target_grid(volume.image, keep, voxels.spacing_mm, voxels.size)


def _holding(image: sitk.Image, value: float) -> sitk.Image:
    """The image in the smallest type for its own values and another one, such as that of air."""
    dtype = sitk.GetArrayViewFromImage(image).dtype
    if dtype.kind not in "iu" or np.iinfo(dtype).min <= value:
        return image
    wanted = np.result_type(dtype, np.min_scalar_type(int(value)))
    is_long = wanted.itemsize > np.dtype(np.int32).itemsize
    return sitk.Cast(image, sitk.sitkFloat32 if is_long else _SIGNED[wanted.itemsize])


def _check_labels(case: SourceCase, record: Record) -> None:
    """Refuse a conversion that leaves nothing of a label."""
    for name, voxels in record["voxels"].items():
        if voxels["before"] and not voxels["after"]:
            raise SparseError(
                f"{case.labels[0]}: {name} ({voxels['before']} voxels) would vanish at a spacing "
                f"of {record['target']['spacing_mm']} mm; choose a finer --spacing, or --native"
            )


def _state_of(case: SourceCase) -> list[list[str | int]]:
    """Name, size in bytes and time in ns of every source file; a file that changes has others."""
    files = sorted(case.image.iterdir()) if case.image.is_dir() else [case.image]
    stats = [(path.name, path.stat()) for path in (*files, *case.labels)]
    return [[name, stat.st_size, stat.st_mtime_ns] for name, stat in stats]
