"""Read a data set and run all checks on it."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from nnunet_sparse.data.annotation import MASK_SUFFIX
from nnunet_sparse.doctor import raw_checks, split_checks
from nnunet_sparse.doctor.case_facts import CaseFacts, CaseJob, read_case_facts
from nnunet_sparse.doctor.equal_files import declared_test_cases, find_equal_files
from nnunet_sparse.doctor.finding import Finding, Report, Skipped
from nnunet_sparse.doctor.fingerprint_check import check_fingerprint, is_intensities
from nnunet_sparse.doctor.preprocessed_case import PreprocessedJob, read_preprocessed_facts
from nnunet_sparse.doctor.preprocessed_checks import (
    FileTimes,
    check_normalisation_mask,
    check_preprocessed_files,
    check_surviving_slices,
)
from nnunet_sparse.doctor.subject import Fold, Subject, read_folds
from nnunet_sparse.planners.plans import FINGERPRINT_FILE, INTENSITIES
from nnunet_sparse.system.errors import SparseError
from nnunet_sparse.system.parallel import map_cases
from nnunet_sparse.trainers.trainer_classes import OURS, STOCK_TRAINER, find_trainer

Facts = Mapping[str, CaseFacts]
Outcome = Finding | Skipped

# foreground intensities kept of all cases together, and of one
_NUM_INTENSITIES = 4_000_000
_MIN_PER_CASE, _MAX_PER_CASE = 500, 50_000


def examine(
    subject: Subject,
    trainer: str,
    num_batches: int | None = None,
    pictures: Mapping[str, Path] | None = None,
    num_processes: int = 1,
) -> Report:
    """Run all checks; nothing of the data set is written.

    Parameters
    ----------
    subject
        The data set.
    trainer
        Trainer whose batches are drawn, beside those of ``nnUNetTrainer``.
    num_batches
        Batches drawn from each; None for as many as take about half a minute.
    pictures
        PNG files to be drawn, by configuration.
    num_processes
        Number of processes that read cases.

    Raises
    ------
    SparseError
        If a file cannot be read, or the trainer does not exist.
    """
    if trainer not in OURS:
        find_trainer(trainer)
    folds = read_folds(subject)
    intensities = _held_intensities(subject)
    facts = _read_cases(subject, num_processes)
    declared = _declared_axis(subject)
    axis = raw_checks.common_slice_axis(facts, declared)
    outcomes: list[Outcome] = [*_raw_outcomes(subject, facts, folds, axis)]
    outcomes.append(_fingerprint(subject, facts, intensities))
    if subject.plans is None:
        outcomes.append(
            Skipped(
                "preprocessed data and batches",
                f"{subject.preprocessed} has no plans; nnsparse_plan_and_preprocess -d "
                f"{subject.raw.name} makes them",
            )
        )
    drawn: list[str] = []
    for configuration in subject.configurations:
        outcomes += _preprocessed_outcomes(
            subject, configuration, facts, axis, declared, num_processes
        )
        picture = (pictures or {}).get(configuration)
        sampled = list(
            _batch_outcomes(subject, configuration, trainer, folds, num_batches, picture)
        )
        outcomes += sampled
        if picture is not None and picture.is_file():
            drawn.append(str(picture))
    return Report(
        dataset=subject.raw.name,
        plans=None if subject.plans is None else subject.plans["plans_name"],
        trainer=trainer,
        findings=[outcome for outcome in outcomes if isinstance(outcome, Finding)],
        skipped=[outcome for outcome in outcomes if isinstance(outcome, Skipped)],
        pictures=drawn,
    )


def _read_cases(subject: Subject, num_processes: int) -> dict[str, CaseFacts]:
    reader = subject.raw.reader()
    per_case = _NUM_INTENSITIES // len(subject.labelled)
    jobs = {
        case_id: CaseJob(
            case=subject.raw.training[case_id],
            reader=reader,
            classes=subject.classes,
            ignore_label=subject.ignore_label,
            num_channels=subject.raw.num_channels,
            num_samples=min(max(per_case, _MIN_PER_CASE), _MAX_PER_CASE),
        )
        for case_id in subject.labelled
    }
    return map_cases(read_case_facts, jobs, num_processes, "Reading cases")


def _declared_axis(subject: Subject) -> int | None:
    from nnunet_sparse.data.slice_axis import read_slice_axis

    return read_slice_axis(subject.raw.folder)


def _raw_outcomes(
    subject: Subject, facts: Facts, folds: list[Fold], axis: int
) -> Iterator[Outcome]:
    training = sorted({c for fold in folds for c in fold.train}) or list(facts)
    unlabelled = sorted(subject.raw.training.keys() - facts.keys())
    yield raw_checks.check_label_values(facts, unlabelled, subject.ignore_label)
    yield raw_checks.check_annotated_slices(facts, training, axis)
    yield raw_checks.check_whole_slices(facts, axis, subject.is_interpolated)
    yield split_checks.check_ignored_cases(facts, folds)
    if folds:
        yield split_checks.check_split_files(subject.labelled, folds)
        yield split_checks.check_classes_per_fold(facts, folds)
        yield split_checks.check_dense_validation(facts, folds)
    else:
        yield Skipped(
            "folds",
            f"{subject.preprocessed} has no splits_final.json, and with {len(facts)} cases nnU-Net "
            "cannot make five folds",
        )
    training_files = {c: case.images for c, case in subject.raw.training.items()}
    test_files = {c: case.images for c, case in subject.raw.test.items()}
    equal = find_equal_files(
        (file for files in test_files.values() for file in files),
        (file for files in training_files.values() for file in files),
    )
    yield split_checks.check_test_cases(
        training_files, test_files, declared_test_cases(subject), equal
    )


def _held_intensities(subject: Subject) -> tuple[Any, str] | None:
    """Intensities that the plans or else the fingerprint hold, and where they stand."""
    plans, file = subject.plans, subject.preprocessed / FINGERPRINT_FILE
    if plans is not None and plans.get(INTENSITIES):
        held, source = plans[INTENSITIES], f"plans {plans['plans_name']}"
    elif file.is_file():
        try:
            held, source = json.loads(file.read_text(encoding="utf-8"))[INTENSITIES], file.name
        except (ValueError, KeyError, TypeError) as error:
            raise SparseError(f"{file} is no fingerprint of nnU-Net; plan again") from error
    else:
        return None
    if not is_intensities(held):
        raise SparseError(
            f"{source} of {subject.raw.name}: {INTENSITIES} must map channels 0, 1 ... to numbers "
            "by their names; plan again"
        )
    if len(held) != subject.raw.num_channels:
        raise SparseError(
            f"{source} of {subject.raw.name} hold intensities of {len(held)} channels, "
            f"dataset.json names {subject.raw.num_channels}"
        )
    return held, source


def _fingerprint(subject: Subject, facts: Facts, intensities: tuple[Any, str] | None) -> Outcome:
    if intensities is None:
        return Skipped(
            "fingerprint",
            f"there are neither plans nor a fingerprint in {subject.preprocessed}; "
            f"nnsparse_plan_and_preprocess -d {subject.raw.name} makes both",
        )
    schemes: list[str] = []
    if subject.configurations:
        schemes = subject.resolved(subject.configurations[0])["normalization_schemes"]
    annotated = np.concatenate([case.intensities for case in facts.values()], axis=1)
    stock = np.concatenate([case.stock_intensities for case in facts.values()], axis=1)
    return check_fingerprint(
        intensities[0], annotated, stock, schemes, intensities[1], subject.is_interpolated
    )


def _preprocessed_outcomes(
    subject: Subject,
    configuration: str,
    facts: Facts,
    axis: int,
    declared: int | None,
    num_processes: int,
) -> Iterator[Outcome]:
    assert subject.plans is not None
    resolved = subject.resolved(configuration)
    order = tuple(int(a) for a in subject.plans["transpose_forward"])
    if len(resolved["patch_size"]) == 2:
        yield raw_checks.check_slice_axis(facts, declared, order, configuration)
    folder = subject.data_folder(configuration)
    cases = set(subject.data_cases(configuration))
    jobs = {
        case_id: PreprocessedJob(
            case_id=case_id,
            label=subject.raw.training[case_id].label or Path(),
            reader=subject.raw.reader(),
            folder=folder if case_id in cases else None,
            axis=axis,
            ignore_label=subject.ignore_label,
            transpose_forward=order,
            configuration={
                name: resolved[name]
                for name in ("spacing", "resampling_fn_seg", "resampling_fn_seg_kwargs")
            },
            spacing=case.spacing,
        )
        for case_id, case in facts.items()
        if not case.is_dense and (case_id in cases or not cases)
    }
    found = map_cases(read_preprocessed_facts, jobs, num_processes, f"Comparing {configuration}")
    yield check_surviving_slices(found, configuration)
    if not cases:
        return
    times = _file_times(subject, folder)
    yield check_preprocessed_files(times, configuration, _unfinished(folder))
    masks = folder.with_name(folder.name + MASK_SUFFIX)
    yield check_normalisation_mask(
        facts,
        resolved["use_mask_for_norm"],
        [file.stem for file in masks.glob("*.b2nd")] if masks.is_dir() else None,
        sorted(cases & set(facts)),
        configuration,
    )


def _unfinished(folder: Path) -> str:
    """What is known of a preprocessing of ours that was not finished, or nothing."""
    from nnunet_sparse.trainers.repeats import check_preprocessed

    try:
        check_preprocessed(folder)
    except SparseError as error:
        return str(error)
    return ""


def _file_times(subject: Subject, folder: Path) -> dict[str, FileTimes]:
    times = {}
    for case_id in subject.labelled:
        label = subject.raw.training[case_id].label
        record = folder / f"{case_id}.pkl"
        times[case_id] = FileTimes(
            label.stat().st_mtime_ns if label is not None else None,
            record.stat().st_mtime_ns if record.is_file() else None,
        )
    return times


def _batch_outcomes(
    subject: Subject,
    configuration: str,
    trainer: str,
    folds: list[Fold],
    num_batches: int | None,
    picture: Path | None,
) -> Iterator[Outcome]:
    check = "batches"
    cases = subject.data_cases(configuration)
    if not cases:
        yield Skipped(
            check,
            f"{subject.data_folder(configuration)} holds no preprocessed case; "
            f"nnsparse_plan_and_preprocess -d {subject.raw.name} -c {configuration} makes them",
            configuration,
        )
        return
    if folds:
        cases = [case for case in cases if case in folds[0].train]
    if not cases:
        yield Skipped(check, f"no training case of {folds[0].name} is preprocessed", configuration)
        return
    from nnunet_sparse.doctor.batches import NoBatchesError

    try:
        yield from _sampled(subject, configuration, trainer, cases, num_batches, picture)
    except NoBatchesError as error:
        yield Finding(
            check=check,
            verdict="broken",
            number=0,
            found=str(error),
            advice="a training would end like this: see to the other findings first",
            configuration=configuration,
        )


def _sampled(
    subject: Subject,
    configuration: str,
    trainer: str,
    cases: list[str],
    num_batches: int | None,
    picture: Path | None,
) -> list[Finding]:
    """Findings in the batches of a trainer, nnU-Net's beside them, and their picture."""
    from nnunet_sparse.doctor import batch_checks
    from nnunet_sparse.doctor.batches import open_batches

    source = open_batches(subject, configuration, trainer, cases)
    number = num_batches or source.default_num_batches
    facts = batch_checks.count_patches(source.patches(number, annotation_only=True))
    stock_source, stock = source, facts
    if trainer != STOCK_TRAINER:
        stock_source = open_batches(subject, configuration, STOCK_TRAINER, cases)
        stock = batch_checks.count_patches(stock_source.patches(number, annotation_only=True))
    weights, stock_weights = source.level_weights, stock_source.level_weights
    findings = [batch_checks.check_padding(facts, stock, configuration)]
    if len(source.patch_size) == 3:
        findings.append(batch_checks.check_offsets(facts, stock, configuration))
    findings.append(batch_checks.check_levels(facts, weights, stock, stock_weights, configuration))
    if picture is not None:
        from nnunet_sparse.doctor.batch_picture import draw_batches

        sources = {STOCK_TRAINER: stock_source, trainer: source}
        draw_batches(sources, subject.classes, picture, f"{subject.raw.name}, {configuration}")
    return findings
