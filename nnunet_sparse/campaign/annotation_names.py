"""To which case of a campaign a file with annotation belongs, and of which kind it is, by its name.

A file that is called after a case and cannot be taken, because of its ending or because its name
differs by capital letters, blanks or the number of a channel, is that case's problem: it may hold
the annotation that is taken for missing. So is a text or table (which may hold outlines) unless the
case has an annotation beside it.
"""

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from nnunet_sparse.campaign.campaign import FILE_ENDING, Campaign
from nnunet_sparse.campaign.dicom_segmentation import find_case
from nnunet_sparse.campaign.label_volume import voxel_files
from nnunet_sparse.campaign.slicer_segmentation import SLICER_ENDING
from nnunet_sparse.campaign.stored_pictures import PICTURE_ENDINGS
from nnunet_sparse.data.dicom_header import DICOM_ENDING
from nnunet_sparse.data.volume_endings import VOLUME_ENDINGS

Kind = Literal["volume", "slices", "slicer", "dicom"]

_OF_CASES = {SLICER_ENDING, *VOLUME_ENDINGS}
_OF_SLICES = {*VOLUME_ENDINGS, *PICTURE_ENDINGS}
# the longest first: .seg.nrrd before .nrrd
_ENDINGS = sorted({DICOM_ENDING, *_OF_CASES, *_OF_SLICES}, key=len, reverse=True)
_HEADERS = (".mhd", ".nhdr")
_VOXELS_OF_HEADERS = (".raw", ".zraw", ".raw.gz")
# texts, tables, and what annotation programs and systems keep beside their files
_NO_ANNOTATION = frozenset(
    {
        *(
            ".txt",
            ".csv",
            ".tsv",
            ".html",
            ".json",
            ".md",
            ".pdf",
            ".log",
            ".docx",
            ".xlsx",
            ".ods",
        ),
        *(".itksnap", ".mrml", ".ctbl", ".ini", ".db"),
    }
)
_SLICE = re.compile(r"(.+)_slice(\d+)")
_CHANNEL_OR_SLICE = re.compile(r"_(?:(\d{4})|slice\d+)$", re.IGNORECASE)
_ANY_ENDING = re.compile(r"\.[a-z][a-z0-9]{0,7}~?$", re.IGNORECASE)
_BETWEEN_WORDS = re.compile(r"[\W_]+")


@dataclass(frozen=True)
class Match:
    """A file and the case that it belongs to.

    Attributes
    ----------
    case_id
        The case.
    file
        The file.
    kind
        How it is read; None if it cannot be taken.
    number
        Slice of which it is the mask.
    problem
        Why it cannot be taken.
    """

    case_id: str
    file: Path
    kind: Kind | None
    number: int | None = None
    problem: str = ""

    @property
    def place(self) -> str:
        """What it annotates, for messages."""
        return self.case_id if self.number is None else f"slice {self.number} of {self.case_id}"

    @property
    def is_handed_out(self) -> bool:
        """Whether it has the name of the prefilled label."""
        return self.kind == "volume" and _stem_and_ending(self.file)[1] == FILE_ENDING


class AnnotationNames:
    """Names of annotations of a campaign's cases.

    Parameters
    ----------
    campaign
        The campaign.
    """

    def __init__(self, campaign: Campaign) -> None:
        self._campaign = campaign
        self._similar: dict[str, str | None] = {}
        for case_id in campaign.volumes:  # None: several cases are called like that
            self._similar[_fold(case_id)] = None if _fold(case_id) in self._similar else case_id

    def matches(self, path: Path) -> list[Match]:
        """Find to which case a file belongs, or the files in a folder; none if to no case.

        Raises
        ------
        SparseError
            If it is a DICOM file that lies on no image, or on several.
        """
        if path.is_dir():
            return self._in_folder(path)
        match = self._match(path)
        return [match] if match else []

    def called_after_case(self, document: Path) -> Match | None:
        """Match of a text, table or the like that has the name of a case; it cannot be taken."""
        return self._problem(document)

    def _in_folder(self, folder: Path) -> list[Match]:
        case_id, files = self._similar_case(folder.name), visible_files(folder)
        if case_id is None:
            return []
        if folder.name != case_id:
            problem = f"{folder} seems to belong to case {case_id}; call it {case_id}"
            return [Match(case_id, folder, None, problem=problem)] if files else []
        return [
            Match(case_id, file, "dicom")
            if file.is_file() and file.suffix.lower() == DICOM_ENDING
            else _unreadable(
                case_id, file, f"a folder called like a case holds {DICOM_ENDING} files only"
            )
            for file in files
        ]

    def _match(self, path: Path) -> Match | None:
        stem, ending = _stem_and_ending(path)
        cases = self._campaign.volumes
        if ending == DICOM_ENDING:
            return Match(stem if stem in cases else find_case(path, self._campaign), path, "dicom")
        if stem in cases and ending == SLICER_ENDING:
            return Match(stem, path, "slicer")
        if stem in cases and ending in VOLUME_ENDINGS:
            return Match(stem, path, "volume")
        found = _SLICE.fullmatch(stem)
        if found and found[1] in cases and ending in _OF_SLICES:
            return Match(found[1], path, "slices", int(found[2]))
        return self._problem(path)

    def _problem(self, path: Path) -> Match | None:
        """A file that is called after a case, and cannot be taken."""
        stem, ending = _stem_and_ending(path)
        for name in _shorter_names(stem):
            case_id, of_slice = self._similar_case(name), ""
            if case_id is None and (found := _CHANNEL_OR_SLICE.search(name)):
                case_id = self._similar_case(name[: found.start()])
                of_slice = found[0].lower() if found[1] is None else ""
            if case_id is None:
                continue
            if name != stem or ending not in (_OF_SLICES if of_slice else _OF_CASES):
                return _unreadable(case_id, path, _what_is_read(case_id))
            right = f"{case_id}{of_slice}{ending}"
            problem = f"{path} seems to belong to case {case_id}; call it {right}"
            return Match(case_id, path, None, problem=problem)
        return None

    def _similar_case(self, text: str) -> str | None:
        return text if text in self._campaign.volumes else self._similar.get(_fold(text))


def visible_files(folder: Path) -> list[Path]:
    """Sorted content of a folder that may be annotation.

    Without hidden files, texts and tables, files of voxels that belong to a header beside them, and
    folders in which nothing else is.
    """
    content = [path for path in sorted(folder.iterdir()) if path.name[0] != "."]
    headers = [path for path in content if path.suffix.lower() in _HEADERS]
    named = {voxels for header in headers for voxels in voxel_files(header)}
    stems = {header.stem for header in headers}
    return [path for path in content if path not in named and not _passed_over(path, stems)]


def documents(folder: Path) -> list[Path]:
    """Sorted texts, tables and the like, which are no annotation in any format that is read."""
    content = (path for path in sorted(folder.iterdir()) if path.name[0] != ".")
    return [path for path in content if path.suffix.lower() in _NO_ANNOTATION and path.is_file()]


def _passed_over(path: Path, stems_of_headers: set[str]) -> bool:
    if path.is_dir():
        return not visible_files(path)
    if path.suffix.lower() in _NO_ANNOTATION:
        return True
    name = path.name.lower()
    endings = (ending for ending in _VOXELS_OF_HEADERS if name.endswith(ending))
    return any(path.name[: -len(ending)] in stems_of_headers for ending in endings)


def _stem_and_ending(path: Path) -> tuple[str, str]:
    """Name without its ending, and the ending in small letters, empty if it is not known."""
    ending = next((e for e in _ENDINGS if path.name.lower().endswith(e)), "")
    return path.name[: len(path.name) - len(ending)], ending


def _shorter_names(name: str) -> Iterator[str]:
    """The name, and what is left of it without one ending after the other."""
    yield name
    while (shorter := _ANY_ENDING.sub("", name)) != name and shorter:
        name = shorter
        yield name


def _fold(name: str) -> str:
    """What is left of a name without capital letters and signs between words."""
    letters = unicodedata.normalize("NFKC", name).casefold()
    return _BETWEEN_WORDS.sub("_", letters).strip("_")


def _unreadable(case_id: str, file: Path, what: str) -> Match:
    problem = f"{file} is called after case {case_id}, and cannot be read as annotation: {what}"
    return Match(case_id, file, None, problem=problem)


def _what_is_read(case_id: str) -> str:
    return (
        f"annotation is {case_id} with {', '.join(VOLUME_ENDINGS)}, {SLICER_ENDING} or "
        f"{DICOM_ENDING}, or {case_id}_slice012 with {', '.join(PICTURE_ENDINGS)}"
    )
