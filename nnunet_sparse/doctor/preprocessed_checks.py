"""Checks of preprocessed data: what it lost, and whether it belongs to the labels."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from nnunet_sparse.doctor.case_facts import CaseFacts
from nnunet_sparse.doctor.check import check
from nnunet_sparse.doctor.finding import Finding
from nnunet_sparse.doctor.preprocessed_case import PreprocessedFacts
from nnunet_sparse.doctor.raw_checks import named

_PLAN = "nnsparse_plan_and_preprocess"


@check
def check_surviving_slices(
    preprocessed_facts: Mapping[str, PreprocessedFacts], configuration: str
) -> Finding:
    """Annotated slices that preprocessing lost, beside what nnU-Net's resampling loses."""
    done = {c: case for c, case in preprocessed_facts.items() if case.lost is not None}
    total = sum(case.num_annotated for case in preprocessed_facts.values())
    cropped = sum(case.num_cropped for case in preprocessed_facts.values())
    stock = sum(case.stock_lost for case in preprocessed_facts.values())
    lost = {c: case.lost for c, case in done.items() if case.lost}
    stray = {c: case.stray for c, case in done.items() if case.stray}
    num_lost = sum(len(slices) for slices in lost.values() if slices)
    num_stray = sum(len(planes) for planes in stray.values())
    texts = [f"{num_lost} of {total} annotated slices are lost in the preprocessed labels"]
    texts[0] += f" ({named(sorted(lost))})" if lost else ""
    if total == 0:
        texts = ["no case is annotated sparsely"]
    elif not done:
        texts = [f"not preprocessed yet: nnU-Net's resampling would lose {stock} of {total} slices"]
    if cropped:
        texts.append(f"{cropped} lie outside the image's non-zero box and are cropped away")
    if num_stray:
        texts.append(f"{num_stray} planes are annotated where no slice is ({named(sorted(stray))})")
    advice = ""
    if lost or (stock and not done):
        advice = f"preprocess with {_PLAN}, which keeps every annotated slice"
    elif stray:
        advice = f"the labels were changed, or resampled beyond their slices: {_PLAN} again"
    return Finding(
        check="surviving slices",
        verdict="broken" if lost else "warning" if advice else "ok",
        number=num_lost if done else stock,
        found="; ".join(texts),
        advice=advice,
        stock=stock,
        configuration=configuration,
        details={"num_annotated": total, "num_cropped": cropped, "lost": lost, "stray": stray},
    )


@dataclass(frozen=True)
class FileTimes:
    """Times in ns of a case's raw label and its preprocessed label; None where it is missing.

    Attributes
    ----------
    label, preprocessed
        The times.
    is_same
        Whether the label holds what was preprocessed; None where that is not known.
    """

    label: int | None
    preprocessed: int | None
    is_same: bool | None = None

    @property
    def is_old(self) -> bool:
        """Whether the label has changed since it was preprocessed; else whether it is newer."""
        if self.label is None or self.preprocessed is None:
            return False
        return self.label > self.preprocessed if self.is_same is None else not self.is_same


@check
def check_preprocessed_files(
    file_times: Mapping[str, FileTimes], configuration: str, unfinished: str = ""
) -> Finding:
    """Cases that are not preprocessed, or whose labels have changed since.

    Parameters
    ----------
    file_times
        Of every labelled case.
    configuration
        The configuration.
    unfinished
        What is known of a preprocessing that was begun and not finished: broken.
    """
    missing = [c for c, time in file_times.items() if time.preprocessed is None]
    old = [c for c, time in file_times.items() if time.is_old]
    texts = [unfinished] if unfinished else []
    if missing:
        texts.append(f"{len(missing)} of {len(file_times)} cases are missing ({named(missing)})")
    if old:
        texts.append(f"{len(old)} are older than their labels ({named(old)})")
    return Finding(
        check="preprocessed files",
        verdict="broken" if unfinished else "warning" if texts else "ok",
        number=len(missing) + len(old),
        found="; ".join(texts)
        or f"{len(file_times)} cases are preprocessed, none older than its label",
        advice=f"run {_PLAN} again" if texts else "",
        configuration=configuration,
        details={"missing": missing, "old": old},
    )


@check
def check_normalisation_mask(
    facts: Mapping[str, CaseFacts],
    use_mask_for_norm: Sequence[bool],
    masked_cases: Sequence[str] | None,
    preprocessed_cases: Sequence[str],
    configuration: str,
) -> Finding:
    """Whether the zeros around the object are told apart from ignored voxels.

    Parameters
    ----------
    facts
        Raw cases.
    use_mask_for_norm
        For each channel whether it is normalised within the non-zero mask.
    masked_cases
        Cases with a mask beside the preprocessed data; None without such a folder.
    preprocessed_cases
        Labelled cases that are preprocessed.
    configuration
        The configuration.
    """
    total = sum(facts[c].num_in_box for c in preprocessed_cases if c in facts)
    outside = sum(facts[c].num_ignored_outside for c in preprocessed_cases if c in facts)
    share = outside / total if total else 0.0
    if not any(use_mask_for_norm):
        return Finding(
            check="normalisation mask",
            verdict="ok",
            number=share,
            found="no channel is normalised within the non-zero mask",
            configuration=configuration,
        )
    without = [
        c
        for c in preprocessed_cases
        if c not in (masked_cases or ()) and facts[c].num_ignored_outside
    ]
    return Finding(
        check="normalisation mask",
        verdict="broken" if without else "ok",
        number=share,
        found=f"{100 * share:.1f} % of the voxels are ignored and outside the non-zero mask; "
        f"{len(without)} of {len(preprocessed_cases)} cases do not tell them from the inside"
        + (f" ({named(without)})" if without else ""),
        advice=f"preprocess with {_PLAN}, which keeps the mask of each image: nnU-Net counts these "
        "zeros into mean and standard deviation, unlike in prediction"
        if without
        else "",
        configuration=configuration,
        details={"cases": without},
    )
