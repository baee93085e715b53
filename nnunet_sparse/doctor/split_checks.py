"""Checks of what the folds train and validate on."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from nnunet_sparse.doctor.case_facts import CaseFacts
from nnunet_sparse.doctor.check import check
from nnunet_sparse.doctor.finding import Finding
from nnunet_sparse.doctor.raw_checks import named
from nnunet_sparse.doctor.subject import Fold

Facts = Mapping[str, CaseFacts]


@check
def check_ignored_cases(facts: Facts, folds: Sequence[Fold]) -> Finding:
    """Cases without any annotated voxel; without folds, of the whole data set."""
    ignored = {c for c, case in facts.items() if case.is_ignored}
    parts = {
        f"{part} of {fold.name}": [c for c in cases if c in ignored]
        for fold in folds
        for part, cases in (("training", fold.train), ("validation", fold.val))
    } or {"the data set": sorted(ignored)}
    parts = {name: cases for name, cases in parts.items() if cases}
    where = "; ".join(f"{len(cases)} in {name} ({named(cases)})" for name, cases in parts.items())
    return Finding(
        check="ignored cases",
        verdict="broken" if parts else "ok",
        number=len({c for cases in parts.values() for c in cases}),
        found=f"cases without any annotated voxel: {where}"
        if parts
        else f"each of {len(facts)} cases has annotated voxels",
        advice="annotate at least one slice of each, or leave the case out of splits_final.json: "
        "nnU-Net draws patches without any label from it, and it cannot be validated on"
        if parts
        else "",
        details={"cases": parts},
    )


@check
def check_split_files(labelled: Sequence[str], existing_folds: Sequence[Fold]) -> Finding:
    """Cases that folds name but the data set lacks, or that both train and validate."""
    known = set(labelled)
    unknown = sorted({c for fold in existing_folds for c in (*fold.train, *fold.val)} - known)
    both = sorted({c for fold in existing_folds for c in set(fold.train) & set(fold.val)})
    empty = [fold.name for fold in existing_folds if not fold.train]
    num_folds = sum(len(fold.numbers) for fold in existing_folds)
    texts = []
    if empty:
        texts.append(f"no training case in {', '.join(empty)}")
    if unknown:
        texts.append(f"{len(unknown)} cases have no label in the data set ({named(unknown)})")
    if both:
        texts.append(f"{len(both)} cases both train and validate ({named(both)})")
    return Finding(
        check="split",
        verdict="broken" if texts else "ok",
        number=len({*unknown, *both, *empty}),
        found="; ".join(texts)
        or f"{num_folds} {'fold' if num_folds == 1 else 'folds'}, {len(existing_folds)} different; "
        "no case both trains and validates",
        advice="correct splits_final.json in nnUNet_preprocessed" if texts else "",
        details={"unknown": unknown, "both": both, "empty": empty},
    )


@check
def check_classes_per_fold(facts: Facts, existing_folds: Sequence[Fold]) -> Finding:
    """Classes that no annotated slice of a fold's training, or of its validation, shows."""
    names = list(next(iter(facts.values())).class_planes)

    def missing(cases: Sequence[str]) -> list[str]:
        known = [facts[c] for c in cases if c in facts]
        return [n for n in names if not any(any(case.class_planes[n]) for case in known)]

    training = {fold.name: m for fold in existing_folds if (m := missing(fold.train))}
    validation = {fold.name: m for fold in existing_folds if (m := missing(fold.val))}
    texts = [
        f"{part} of {fold} shows no {', '.join(classes)}"
        for part, found in (("training", training), ("validation", validation))
        for fold, classes in found.items()
    ]
    return Finding(
        check="classes per fold",
        verdict="broken" if training else "warning" if validation else "ok",
        number=sum(map(len, [*training.values(), *validation.values()])),
        found="; ".join(texts)
        or f"every fold shows each of {len(names)} classes in training and validation",
        advice="annotate slices that show the class, or move cases between the parts of "
        "splits_final.json: a class that is never shown is never learned, one that is not "
        "validated has no score"
        if texts
        else "",
        details={"training": training, "validation": validation},
    )


@check
def check_dense_validation(facts: Facts, existing_folds: Sequence[Fold]) -> Finding:
    """Validation cases with ignored voxels, whose scores leave most of the volume out."""
    cases = sorted({c for fold in existing_folds for c in fold.val if c in facts})
    sparse = [c for c in cases if not facts[c].is_dense]
    return Finding(
        check="dense validation",
        verdict="warning" if sparse else "ok",
        number=len(sparse),
        found=f"{len(sparse)} of {len(cases)} validation cases have ignored voxels"
        + (f" ({named(sparse)})" if sparse else ""),
        advice="compare on cases with dense labels only, or, if there are none, take validation "
        "scores for those of the annotated voxels: they do not see false positives in between"
        if sparse
        else "",
        details={"cases": sparse},
    )


@check
def check_test_cases(
    training_files: Mapping[str, Sequence[Path]],
    test_files: Mapping[str, Sequence[Path]],
    declared_test: Mapping[str, Sequence[str]],
    equal_files: Mapping[Path, Path],
) -> Finding:
    """Test cases among those for training and validation.

    Parameters
    ----------
    training_files, test_files
        Image files of every case.
    declared_test
        Test cases that a split of the project names, by the file that does.
    equal_files
        For image files of test cases, a training file of the same content.
    """
    owners = {file: case for case, files in training_files.items() for file in files}
    leaks: dict[str, str] = {}
    for file, cases in declared_test.items():
        for case in cases:
            if case in training_files:
                leaks[case] = f"{case} is a test case in {file}"
    for case, files in test_files.items():
        same = next((equal_files[f] for f in files if f in equal_files), None)
        if case in training_files:
            leaks[case] = f"{case} is in imagesTs and in training"
        elif same is not None:
            leaks[case] = f"{case} of imagesTs is the training case {owners[same]}"
    count = len({*test_files, *(c for cases in declared_test.values() for c in cases)})
    return Finding(
        check="test cases",
        verdict="broken" if leaks else "ok",
        number=len(leaks),
        found=f"{len(leaks)} test cases are among training and validation: "
        + "; ".join(leaks[c] for c in sorted(leaks)[:3])
        if leaks
        else f"none of {count} test cases is among training and validation",
        advice="remove them from one of the parts: scores on cases that were trained on mean "
        "nothing"
        if leaks
        else "",
        details={"cases": leaks},
    )
