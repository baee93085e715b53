"""Making a sparse nnU-Net data set of the annotation of a campaign."""

import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from nnunet_sparse.campaign.annotation_files import AnnotationFiles, read_annotation
from nnunet_sparse.campaign.campaign import FILE_ENDING, Campaign
from nnunet_sparse.campaign.import_documents import (
    IMPORT_FILE,
    ImportedCase,
    annotation_digests,
    import_documents,
)
from nnunet_sparse.campaign.import_problems import import_problems, refuse_problems
from nnunet_sparse.campaign.import_request import ImportRequest
from nnunet_sparse.campaign.progress import CampaignProgress, CaseProgress
from nnunet_sparse.campaign.validation_share import (
    SPLIT_FILE,
    KeptSplit,
    fold_volumes,
    split_volumes,
)
from nnunet_sparse.campaign.worklist import Answers
from nnunet_sparse.data.dataset_name import check_range, check_suffix, find_named
from nnunet_sparse.data.folds import Fold, equal_folds
from nnunet_sparse.data.groups import Grouping
from nnunet_sparse.data.label_files import write_label_like
from nnunet_sparse.data.raw_dataset import SELECTION_FILE
from nnunet_sparse.dataset_tools.earlier_partials import holds_only
from nnunet_sparse.dataset_tools.new_dataset import (
    DatasetRequest,
    check_free,
    dataset_lock,
    new_dataset,
    remove_unfinished,
)
from nnunet_sparse.system.atomic import as_json, atomic_path, write_json
from nnunet_sparse.system.errors import SparseError
from nnunet_sparse.system.json_files import read_json
from nnunet_sparse.system.links import link_file
from nnunet_sparse.system.parallel import map_cases
from nnunet_sparse.system.paths import NnUNetPaths
from nnunet_sparse.system.software import without_software


@dataclass(frozen=True)
class Imported:
    """A data set made from a campaign, or (in a dry run) to be made.

    Attributes
    ----------
    folder
        Its folder; None in a dry run.
    created
        Whether this call made it; False if it existed.
    cases
        Annotated cases, by ID.
    folds
        Content of its ``splits_final.json``.
    groups
        Which cases belong together; None if each stands for itself.
    left_out
        Slices that were asked for and are not annotated in it, by case ID.
    """

    folder: Path | None
    created: bool
    cases: dict[str, ImportedCase]
    folds: list[Fold]
    groups: Grouping | None
    left_out: dict[str, tuple[int, ...]]

    @property
    def parts(self) -> Fold:
        """Training and validation cases of the first fold."""
        return self.folds[0]


def import_campaign(
    paths: NnUNetPaths,
    campaign: Campaign,
    progress: CampaignProgress,
    answers: Answers,
    request: ImportRequest,
    num_processes: int = 1,
    dry_run: bool = False,
) -> Imported:
    """Write a sparse data set from what is annotated; the campaign's labels are not changed.

    Parameters
    ----------
    paths
        nnU-Net's folders.
    campaign
        The campaign.
    progress
        Its annotations (:func:`nnunet_sparse.campaign.progress.read_progress`).
    answers
        What people have written into the worklist.
    request
        What is imported, and as what.
    num_processes
        Number of processes.
    dry_run
        Only tell what would be made.

    Raises
    ------
    SparseError
        If :func:`import_problems` finds any, fewer than two volumes are annotated, or the name is
        taken; nothing is left behind.
    """
    check_suffix(request.name)
    check_range(request.dataset_id)
    refuse_problems(import_problems(progress, request))
    cases = {
        case_id: imported
        for case_id, case in progress.cases.items()
        if (imported := _imported(case, request)).annotated
    }
    share = request.share
    before = KeptSplit.read(campaign.folder)
    before = before.grouped(request.group, sorted(cases), campaign.folder / SPLIT_FILE)
    if request.num_folds is None:
        parts = split_volumes(sorted(cases), share, request.seed, before.parts, before.groups)
        folds = equal_folds(parts["train"], parts["val"], request.repeats)
        kept = before.with_equal_folds(parts)
    else:
        folds = fold_volumes(sorted(cases), request.num_folds, request.seed, before)
        kept = before.with_cross_validation(folds)
    left_out = {c: p.states.missing for c, p in progress.cases.items() if p.states.missing}
    files = {case_id: progress.cases[case_id].annotation for case_id in cases}
    documents = import_documents(campaign, cases, folds, files, answers, request)
    existing = _find_existing(paths, request, documents)
    if dry_run:
        found = None if request.overwrite else existing
        return Imported(found, False, cases, folds, kept.groups, left_out)
    # where nothing may be written no lock can be taken, and none is needed
    if existing is not None and not request.overwrite and not os.access(paths.raw, os.W_OK):
        return Imported(existing, False, cases, folds, kept.groups, left_out)
    with dataset_lock(paths.raw, request.name):
        existing = _find_existing(paths, request, documents)
        if existing is not None and not request.overwrite:
            wanted = _dataset_request(request, documents)
            remove_unfinished(paths, wanted, partial(holds_only, documents=documents))
            return Imported(existing, False, cases, folds, kept.groups, left_out)
        folder = _write(
            paths, campaign, cases, files, documents, request, existing, kept, num_processes
        )
    return Imported(folder, True, cases, folds, kept.groups, left_out)


def _imported(case: CaseProgress, request: ImportRequest) -> ImportedCase:
    states = case.states
    extra = states.extra if request.extra == "accept" else ()
    return ImportedCase(states.annotated, states.empty, extra, states.missing, states.cleared)


def _find_existing(
    paths: NnUNetPaths, request: ImportRequest, documents: Mapping[str, Any]
) -> Path | None:
    """The data set of that name, if it may be replaced or is the same."""
    name, wanted = request.name, request.dataset_id
    existing = find_named(paths.raw, name, wanted)
    if existing is None:
        if wanted is not None:
            check_free(
                paths, DatasetRequest(name, {}), wanted, partial(holds_only, documents=documents)
            )
        return None
    folder = paths.raw / existing
    if not (folder / IMPORT_FILE).is_file():
        raise SparseError(f"{folder} was not imported from a campaign; give another --name")
    if request.overwrite:
        return folder
    different = [
        file
        for file, content in documents.items()
        if without_software(read_json(folder / file)) != as_json(without_software(content))
    ]
    if different:
        raise SparseError(
            f"{folder} exists with other content ({', '.join(different)}); --overwrite replaces "
            "it, --name makes another one"
        )
    return folder


def _dataset_request(request: ImportRequest, documents: Mapping[str, Any]) -> DatasetRequest:
    parameters = {key: as_json(without_software(content)) for key, content in documents.items()}
    return DatasetRequest(request.name, parameters)


def _write(
    paths: NnUNetPaths,
    campaign: Campaign,
    cases: Mapping[str, ImportedCase],
    files: Mapping[str, AnnotationFiles],
    documents: Mapping[str, Any],
    request: ImportRequest,
    existing: Path | None,
    kept: KeptSplit,
    num_processes: int,
) -> Path:
    """Write the data set, and keep which volumes are validated on."""

    def commit(_: str) -> None:
        write_json(campaign.folder / SPLIT_FILE, kept.to_json())

    with new_dataset(
        paths,
        _dataset_request(request, documents),
        dataset_id=request.dataset_id,
        replaced=None if existing is None else existing.name,
        belongs=partial(holds_only, documents=documents),
        commit=commit,
    ) as (folder, full_name):
        for sub in ("imagesTr", "labelsTr", ".staging"):
            (folder / sub).mkdir(exist_ok=True)
        digests = documents[IMPORT_FILE]["cases"]
        jobs = {c: (c, case, files[c], digests[c]["files"]) for c, case in cases.items()}
        work = partial(_write_case, campaign=campaign, folder=folder)
        map_cases(work, jobs, num_processes, "Writing labels")
        shutil.rmtree(folder / ".staging")
        for file, content in documents.items():
            write_json(folder / file, content, sort_keys=file in {SELECTION_FILE, IMPORT_FILE})
    return paths.raw / full_name


def _write_case(
    job: tuple[str, ImportedCase, AnnotationFiles, dict[str, str]],
    campaign: Campaign,
    folder: Path,
) -> None:
    """Link the images of a case, and write its label."""
    case_id, case, files, digests = job
    for image in campaign.image_files(case_id):
        # a converted image is the campaign's own, and outlives it as a hard link
        link_file(image.resolve(), folder / "imagesTr" / image.name, hard=not image.is_symlink())
    target = folder / "labelsTr" / f"{case_id}{FILE_ENDING}"
    if target.exists():  # complete: by a call that was killed later
        return
    label = imported_label(
        read_annotation(campaign, case_id, files), campaign.axis, case, campaign.ignore_label
    )
    if annotation_digests(files) != digests:
        raise SparseError(f"{files.files[0]} has changed since it was looked at; import again")
    with atomic_path(target, folder / ".staging") as temporary:
        image = campaign.image_files(case_id)[0]
        write_label_like(temporary, label, image, campaign.images.reader())


def imported_label(
    label: np.ndarray, axis: int, case: ImportedCase, ignore_label: int
) -> np.ndarray:
    """Make the label of the data set: ignore on all slices but those that are imported.

    On slices that were not asked for, what is not painted is background, unless some background
    was painted: then ``ignore`` stays where it is.

    Parameters
    ----------
    label
        (z, y, x) integers.
    axis
        Slice axis.
    case
        Slices that are imported.
    ignore_label
        Value of all other voxels.

    Returns
    -------
    np.ndarray, shape (z, y, x), uint8 or larger
    """
    result = np.full(label.shape, ignore_label, np.min_scalar_type(ignore_label))
    planes, sources = np.moveaxis(result, axis, 0), np.moveaxis(label, axis, 0)
    planes[list(case.annotated)] = sources[list(case.annotated)]
    for i in case.extra:
        if not (planes[i] == 0).any():
            planes[i][planes[i] == ignore_label] = 0
    return result
