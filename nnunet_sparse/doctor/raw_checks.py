"""Checks of the labels themselves: how much is annotated, and whether in whole slices."""

from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np

from nnunet_sparse.doctor.case_facts import CaseFacts
from nnunet_sparse.doctor.check import check
from nnunet_sparse.doctor.finding import Finding
from nnunet_sparse.system.wording import first_of

Facts = Mapping[str, CaseFacts]

_NUM_NAMED = 5


def common_slice_axis(facts: Facts, declared: int | None) -> int:
    """Slice axis of a data set: the declared one, else the one of most sparsely annotated cases.

    Of equally frequent axes the first; 0 if all cases are dense.
    """
    if declared is not None:
        return declared
    axes = Counter(case.slice_axis for case in facts.values() if case.slice_axis is not None)
    return min(axes, key=lambda axis: (-axes[axis], axis)) if axes else 0


@check
def check_label_values(facts: Facts, unlabelled: Sequence[str], ignore_label: int) -> Finding:
    """Label values that are not declared or not whole, and cases without a label.

    Parameters
    ----------
    facts
        Labelled cases.
    unlabelled
        Other cases for training.
    ignore_label
        Value of voxels that are not annotated.
    """
    undeclared = {c: case.undeclared for c, case in facts.items() if case.undeclared}
    values = sorted({value for found in undeclared.values() for value in found})
    cut = sorted(c for c, case in facts.items() if case.is_cut)
    texts, advice = [], []
    if cut:
        texts.append(
            f"labels of {len(cut)} of {len(facts)} cases hold fractions, which nnU-Net cuts off, "
            f"so that 0.9999999 becomes 0 ({named(cut)})"
        )
        advice.append(
            "write whole numbers into these files; nnsparse_make_dataset and "
            "nnsparse_plan_and_preprocess round them"
        )
    if undeclared:
        texts.append(
            f"{len(undeclared)} cases hold values that dataset.json does not declare: "
            f"{first_of(values, _NUM_NAMED)} "
            f"({named(sorted(undeclared))})"
        )
        advice.append(f"correct the labels or dataset.json; ignored voxels are {ignore_label}")
    if unlabelled:
        texts.append(
            f"{len(unlabelled)} of {len(facts) + len(unlabelled)} cases have no label "
            f"({named(unlabelled)})"
        )
        advice.append("nnU-Net wants a label for every case in imagesTr: move the images away")
    return Finding(
        check="label values",
        verdict="broken" if undeclared or cut else "warning" if unlabelled else "ok",
        number=len(undeclared.keys() | set(cut)) + len(unlabelled),
        found="; ".join(texts) or f"{len(facts)} cases hold declared values only",
        advice="; ".join(advice),
        details={
            "undeclared": undeclared,
            "unlabelled": list(unlabelled),
            **({"cut": cut} if cut else {}),
        },
    )


@check
def check_positions(facts: Facts) -> Finding | None:
    """Labels that do not lie on their images, and images that programs see at several places.

    nnU-Net goes by the order of voxels alone, which it assumes to be the same.
    """
    elsewhere = {c: case.elsewhere for c, case in facts.items() if case.elsewhere}
    disagreeing = {c: case.disagreement for c, case in facts.items() if case.disagreement}
    texts, advice = [], []
    if elsewhere:
        texts.append(
            f"labels of {len(elsewhere)} of {len(facts)} cases do not lie on their images "
            f"({named(sorted(elsewhere))}): {elsewhere[min(elsewhere)]}"
        )
        advice.append("look at image and label together, and give both one header")
    if disagreeing:
        texts.append(
            f"qform and sform of the images of {len(disagreeing)} of {len(facts)} cases disagree "
            f"or say nothing ({named(sorted(disagreeing))}): {disagreeing[min(disagreeing)]}"
        )
        advice.append(
            "programs see these images at different places: find out which is right, and write it "
            "into both forms"
        )
    if not texts:
        return None
    return Finding(
        check="positions",
        verdict="broken" if elsewhere else "warning",
        number=len(elsewhere.keys() | disagreeing.keys()),
        found="; ".join(texts),
        advice="; ".join(advice),
        details={"elsewhere": elsewhere, "disagreeing": disagreeing},
    )


@check
def check_annotated_slices(facts: Facts, training_cases: Sequence[str], axis: int) -> Finding:
    """Annotated slices per case and per class; a class that no training case shows is broken.

    Parameters
    ----------
    facts
        Labelled cases.
    training_cases
        Those that some fold trains on.
    axis
        Slice axis.
    """
    sparse = {c: case for c, case in facts.items() if not case.is_dense}
    slices = {c: case.num_planes(axis) for c, case in facts.items()}
    names = list(next(iter(facts.values())).class_planes)
    totals = {
        name: sum(facts[c].class_planes[name][axis] for c in training_cases if c in facts)
        for name in names
    }
    per_class = ", ".join(
        f"{name} on {_summary_of_class(facts, sparse, name, axis)}" for name in names
    )
    missing = [name for name, total in totals.items() if total == 0]
    counts = [slices[c] for c in sparse]
    depths = [case.shape[axis] for case in sparse.values()]
    return Finding(
        check="annotated slices",
        verdict="broken" if missing else "ok",
        number=sum(counts),
        found=f"{len(sparse)} of {len(facts)} cases are annotated sparsely, {spread(counts)} of "
        f"{spread(depths)} slices along axis {axis} each (min/median/max); {per_class}",
        advice=f"no training case shows {', '.join(missing)}: annotate slices that do, or remove "
        "the label from dataset.json"
        if missing
        else "",
        details={
            "axis": axis,
            "num_dense_cases": len(facts) - len(sparse),
            "class_slices_of_training_cases": totals,
            "cases": {
                c: {
                    "num_slices": case.shape[axis],
                    "annotated_slices": slices[c],
                    "class_slices": {name: case.class_planes[name][axis] for name in names},
                }
                for c, case in facts.items()
            },
        },
    )


@check
def check_whole_slices(facts: Facts, axis: int, is_interpolated: bool = False) -> Finding:
    """Whether labels are whole slices; parts of slices are what only 3d training can use well.

    Where labels were interpolated, what is left out of slices was meant to be. Of 2D images parts
    are what is annotated: patches are drawn from there.
    """
    sparse = {c: case for c, case in facts.items() if not case.is_dense}
    total = sum(case.num_planes(axis) for case in sparse.values())
    cases = [c for c, case in sparse.items() if case.num_incomplete(axis)]
    incomplete = sum(case.num_incomplete(axis) for case in sparse.values())
    if all(case.shape[axis] == 1 for case in facts.values()):
        return _parts_of_images(facts, sparse)
    return Finding(
        check="whole slices",
        verdict="warning" if incomplete and not is_interpolated else "ok",
        number=incomplete,
        found=f"{incomplete} of {total} annotated slices along axis {axis} are annotated in part"
        + (f" ({named(cases)})" if cases else "")
        + (", as the interpolation left them" if incomplete and is_interpolated else ""),
        advice="annotate slices completely, background included, or train in 3d: preprocessing, "
        "slice sampling and the simulated budget count whole slices"
        if incomplete and not is_interpolated
        else "",
        details={"cases": {c: sparse[c].num_incomplete(axis) for c in cases}},
    )


@check
def check_slice_axis(
    facts: Facts,
    declared_axis: int | None,
    transpose_forward: Sequence[int],
    dimensions: int,
    configuration: str,
) -> Finding | None:
    """Whether 2d patches lie in the annotated slices: nnU-Net cuts along the first axis."""
    if dimensions != 2:
        return None
    cut = int(transpose_forward[0])
    axes = {
        c: case.slice_axis if declared_axis is None else declared_axis
        for c, case in facts.items()
        if not case.is_dense
    }
    across = [c for c, axis in axes.items() if axis != cut]
    return Finding(
        check="slice axis",
        verdict="warning" if across else "ok",
        number=len(across),
        found=f"2d patches are cut along axis {cut}, across the annotated slices of {len(across)} "
        f"of {len(axes)} sparsely annotated cases" + (f" ({named(across)})" if across else ""),
        advice="plan with nnsparse_plan_and_preprocess, which puts the slice axis first, or train "
        "in 3d"
        if across
        else "",
        configuration=configuration,
        details={"cut_axis": cut, "slice_axes": dict(Counter(str(a) for a in axes.values()))},
    )


def spread(values: Sequence[int]) -> str:
    """Minimum, median and maximum, or the one value that all have."""
    if not values:
        return "0"
    low, high = min(values), max(values)
    return str(low) if low == high else f"{low}/{np.median(values):g}/{high}"


def named(cases: Sequence[str]) -> str:
    """Case IDs for a message."""
    return first_of(cases, _NUM_NAMED)


def _parts_of_images(facts: Facts, sparse: Facts) -> Finding:
    """Finding on 2D images, of which nobody needs whole ones."""
    shares = [100 * case.num_annotated / np.prod(case.shape) for case in sparse.values()]
    low, high = (min(shares), max(shares)) if shares else (100.0, 100.0)
    return Finding(
        check="whole slices",
        verdict="ok",
        number=0,
        found=f"2D images: {len(sparse)} of {len(facts)} are annotated in part, "
        f"{low:.3g} to {high:.3g} % of their pixels",
        details={"cases": {}},
    )


def _summary_of_class(facts: Facts, sparse: Facts, name: str, axis: int) -> str:
    counts = [case.class_planes[name][axis] for case in (sparse or facts).values()]
    return spread(counts)
