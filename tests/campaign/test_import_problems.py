from pathlib import Path

import pytest

from nnunet_sparse.campaign.annotation_files import AnnotationFiles
from nnunet_sparse.campaign.import_problems import ImportProblem, import_problems, refuse_problems
from nnunet_sparse.campaign.import_request import Extra, ImportRequest
from nnunet_sparse.campaign.progress import CampaignProgress, CaseProgress
from nnunet_sparse.campaign.slice_states import SliceStates
from nnunet_sparse.system.errors import SparseError

VOLUME = AnnotationFiles("volume", (Path("a.nii.gz"),))
MASKS = AnnotationFiles("slices", (Path("a_slice003.png"), Path("a_slice005.png")), (3, 5))


def problems(case: CaseProgress, partial: bool = False, extra: Extra = "refuse") -> list[str]:
    progress = CampaignProgress({"a": case}, [Path("b.nii.gz")], {})
    found = import_problems(progress, ImportRequest("x", partial=partial, extra=extra))
    return [problem.text for problem in found]


@pytest.mark.parametrize(
    ("files", "slices", "subject"),
    [
        (VOLUME, (1, 2), "a.nii.gz: slices 1, 2 are"),
        (VOLUME, (4,), "a.nii.gz: slice 4 is"),
        (MASKS, (5,), "a_slice005.png: slice 5 is"),
        (MASKS, (7,), "a: slice 7 is"),  # there is no mask of it
    ],
)
def test_missing_annotation_matters_unless_partial(
    files: AnnotationFiles, slices: tuple[int, ...], subject: str
) -> None:
    case = CaseProgress(SliceStates(todo=slices), None, files)
    unknown = "b.nii.gz belongs to no case"  # which may be what is missing
    assert problems(case) == [f"{subject} as prefilled, without an object", unknown]
    assert problems(case, partial=True) == []


def test_missing_files_matter_unless_partial() -> None:
    case = CaseProgress(SliceStates(todo=(1,)), "a.nii.gz is missing", None, is_missing=True)
    assert problems(case)[0] == "a.nii.gz is missing (a: slice 1 is asked for)"
    assert problems(case, partial=True) == []


@pytest.mark.parametrize("states", [SliceStates(extra=(4,)), SliceStates(cleared=(4,))])
def test_what_was_not_asked_for_is_refused_unless_told(states: SliceStates) -> None:
    case = CaseProgress(states, None, VOLUME)
    (text,) = problems(case)
    assert text.startswith("a.nii.gz: slice 4 is ")
    assert "but not asked for" in text
    assert problems(case, extra="accept") == problems(case, extra="drop") == []


@pytest.mark.parametrize(
    "case",
    [
        CaseProgress(SliceStates(contradictory=(4,)), None, VOLUME),
        CaseProgress(SliceStates(todo=(4,)), "a.nii.gz is damaged", VOLUME),
    ],
)
def test_wrong_annotation_always_matters(case: CaseProgress) -> None:
    assert len(problems(case, partial=True, extra="accept")) == 1


def test_all_problems_are_told_and_the_first_is_raised(caplog: pytest.LogCaptureFixture) -> None:
    refuse_problems([])
    with pytest.raises(SparseError, match=r"^one$"):
        refuse_problems([ImportProblem("one")])
    caplog.set_level("INFO")
    with pytest.raises(SparseError, match=r"^2 problems .*; the first: one; .*--partial$"):
        refuse_problems([ImportProblem("one"), ImportProblem("two", is_missing=True)])
    assert caplog.messages == ["- one", "- two"]
