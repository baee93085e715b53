"""What the files of an imported data set say: labels, folds, slices, and where all comes from."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from nnunet_sparse.campaign.annotation_files import AnnotationFiles
from nnunet_sparse.campaign.campaign import FILE_ENDING, Campaign
from nnunet_sparse.campaign.import_request import ImportRequest
from nnunet_sparse.campaign.worklist import Answers
from nnunet_sparse.data.declared_labels import IGNORE
from nnunet_sparse.data.folds import SPLITS_FILE, Fold
from nnunet_sparse.data.raw_dataset import SELECTION_FILE
from nnunet_sparse.selection.selection import CAMPAIGN_PREFIX, CaseSelection, Selection
from nnunet_sparse.system.digests import file_digest
from nnunet_sparse.system.software import software

IMPORT_FILE = "import.json"
_VERSION = 1
# of each request for slices
_ROUND = ("variant", "parameters", "features", "network", "prefilled")


@dataclass(frozen=True)
class ImportedCase:
    """Slices of a case that are annotated in the data set; each list ascends.

    Attributes
    ----------
    asked
        Annotated slices that were asked for, those without an object included.
    empty
        Those of them that were confirmed to show no object.
    extra
        Annotated slices that were not asked for.
    left_out
        Slices that were asked for and are not annotated.
    cleared
        Slices that were not asked for and hold nothing but background, which nobody has confirmed;
        they are not annotated in the data set.
    """

    asked: tuple[int, ...]
    empty: tuple[int, ...]
    extra: tuple[int, ...]
    left_out: tuple[int, ...]
    cleared: tuple[int, ...] = ()

    @property
    def annotated(self) -> tuple[int, ...]:
        """All annotated slices."""
        return tuple(sorted((*self.asked, *self.extra)))


def import_documents(
    campaign: Campaign,
    cases: Mapping[str, ImportedCase],
    folds: list[Fold],
    files: Mapping[str, AnnotationFiles],
    answers: Answers,
    request: ImportRequest,
) -> dict[str, Any]:
    """Content of the JSON files of the data set, by file name."""
    labels = {**campaign.dataset["labels"], IGNORE: campaign.ignore_label}
    content = {
        **campaign.dataset,
        "labels": labels,
        "numTraining": len(cases),
        "file_ending": FILE_ENDING,
    }
    first = campaign.rounds[0]
    selection = Selection(
        base=f"{CAMPAIGN_PREFIX}{campaign.name}",
        variant=first.variant,
        axis=campaign.axis,
        cases={
            c: CaseSelection(campaign.volumes[c].num_slices, case.annotated)
            for c, case in cases.items()
        },
        parameters=dict(first.parameters),
        features=first.features,
    )
    record = {
        "version": _VERSION,
        "campaign": campaign.name,
        "rounds": [
            {key: value for key, value in asking.to_json().items() if key in _ROUND}
            for asking in campaign.rounds
        ],
        "provenance": dict(request.provenance),
        "cases": {
            c: _case_record(campaign, c, case, files[c], answers) for c, case in cases.items()
        },
        "software": software(),
    }
    return {
        "dataset.json": content,
        SPLITS_FILE: folds,
        SELECTION_FILE: selection.to_json(),
        IMPORT_FILE: record,
    }


def _case_record(
    campaign: Campaign, case_id: str, case: ImportedCase, files: AnnotationFiles, answers: Answers
) -> dict[str, Any]:
    """Where the annotation of a case comes from, and what of it was taken."""
    notes = answers.notes(case_id)
    return {
        "sources": list(campaign.volumes[case_id].sources),
        "kind": files.kind,
        "files": annotation_digests(files),
        "annotated": list(case.annotated),
        "confirmed_empty": list(case.empty),
        "extra": list(case.extra),
        "left_out": list(case.left_out),
        "annotators": answers.annotators(case_id),
        "minutes": answers.minutes(case_id) if answers.num_timed(case_id) else None,
        "notes": {str(i): note for i, note in notes.items()},
    }


def annotation_digests(files: AnnotationFiles) -> dict[str, str]:
    """Hash of each file by its name."""
    return {file.name: file_digest(file) for file in files.all_files}
