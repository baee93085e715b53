"""Which DICOM files of a folder are volumes, and what is said of the others."""

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from nnunet_sparse.data.dicom_series import ImageSeries, read_content
from nnunet_sparse.system.errors import SparseError

logger = logging.getLogger(__name__)

_MOST_REASONS = 3


@dataclass(frozen=True)
class LeftOut:
    """Files that are no volume, at least one, and why."""

    files: tuple[Path, ...]
    reason: str


@dataclass(frozen=True)
class DicomVolume:
    """A series that is a volume, or has to be one.

    Attributes
    ----------
    source
        The folder, if it holds no other series, else the series' first file.
    files
        All its files.
    suffix
        What its name needs beside the folder's; empty if the folder holds no other volume.
    uid
        What all slices of it share, wherever they lie.
    problem
        Why it is damaged or incomplete; empty if it is neither.
    """

    source: Path
    files: frozenset[Path]
    suffix: str
    uid: str
    problem: str


@dataclass(frozen=True)
class Remarks:
    """What a search has to say beside the volumes it finds.

    Attributes
    ----------
    left_out
        Files that are no volume.
    sources
        Folders and files of series, by their UID.
    problems
        Why series are no complete volumes, by their folders and files.
    damaged
        What is said of files that cannot be read.
    """

    left_out: list[LeftOut] = field(default_factory=list)
    sources: dict[str, list[Path]] = field(default_factory=dict)
    problems: dict[Path, str] = field(default_factory=dict)
    damaged: list[str] = field(default_factory=list)

    def add(self, volumes: Iterable[DicomVolume], left_out: Iterable[LeftOut]) -> None:
        """Remember what a folder holds."""
        self.left_out.extend(left_out)
        for volume in volumes:
            self.sources.setdefault(volume.uid, []).append(volume.source)
            if volume.problem:
                self.problems[volume.source] = volume.problem

    def check_complete(self, cases: Mapping[str, Sequence[Path]]) -> None:
        """Refuse files that are damaged and series that are no complete volumes, all at once.

        Parameters
        ----------
        cases
            Folders and files that cases come from, by case ID.

        Raises
        ------
        SparseError
            With the reason of each.
        """
        faulty = {
            case_id: self.problems[source]
            for case_id, sources in cases.items()
            for source in sources
            if source in self.problems
        }
        if self.damaged:
            raise SparseError("; ".join([*self.damaged, *faulty.values()]))
        if faulty:
            count = f"{len(faulty)} of {len(cases)} volumes cannot be taken: "
            raise SparseError(
                f"{count if len(faulty) > 1 else ''}{'; '.join(faulty.values())} (set right what "
                f"is wrong, or go on without: --exclude {' '.join(faulty)})"
            )

    def tell(self) -> None:
        """Say what is left out, in a line for each reason, and which series lie in two places."""
        for line in _by_reason(self.left_out):
            logger.info("left out, %s", line)
        for uid, (one, *others) in self.sources.items():
            if uid and others:
                logger.warning(
                    "%s and %s are copies or parts of one DICOM series: each is taken as a volume",
                    one,
                    ", ".join(map(str, others)),
                )


def dicom_volumes(folder: Path, files: Sequence[Path]) -> tuple[list[DicomVolume], list[LeftOut]]:
    """Sort the DICOM files of a folder into volumes and what is none.

    Parameters
    ----------
    folder
        The folder.
    files
        All its DICOM files.

    Returns
    -------
    volumes : list of DicomVolume
        In the order of their first files.
    left_out : list of LeftOut
        Localizers, reports, segmentations and the like.

    Raises
    ------
    SparseError
        If a file is damaged.
    """
    content = read_content(files)
    left_out = [LeftOut((header.file,), header.no_slices) for header in content.others]
    series = []
    for one in content.series:
        if why := one.why_no_volume:
            left_out.append(LeftOut(tuple(header.file for header in one.headers), why))
        else:
            series.append(one)
    suffixes = [""] if len(series) == 1 else _suffixes(series)
    alone = len(content.series) == 1
    volumes = [
        DicomVolume(
            folder if alone else one.file,
            frozenset(header.file for header in one.headers),
            suffix,
            one.uid,
            _problem(one, folder if alone else one.file),
        )
        for one, suffix in zip(series, suffixes, strict=True)
    ]
    return volumes, left_out


def summary(left_out: Iterable[LeftOut]) -> str:
    """Say in a part of a sentence what is left out; empty if nothing is."""
    lines = _by_reason(left_out)
    more = f"; {len(lines) - _MOST_REASONS} more" if len(lines) > _MOST_REASONS else ""
    return "; ".join(lines[:_MOST_REASONS]) + more


def _by_reason(left_out: Iterable[LeftOut]) -> list[str]:
    files: dict[str, list[Path]] = {}
    for one in left_out:
        files.setdefault(one.reason, []).extend(one.files)
    return [
        f"{reason}: {named[0]}" + (f" and {len(named) - 1} more" if len(named) > 1 else "")
        for reason, named in sorted(files.items())
    ]


def _problem(series: ImageSeries, source: Path) -> str:
    """Why a series is no complete volume; empty if it is one."""
    try:
        replace(series, name=str(source) if source.is_dir() else series.name).stack  # noqa: B018
    except SparseError as error:
        return str(error)
    return ""


def _suffixes(series: Sequence[ImageSeries]) -> list[str]:
    """Names by which the series of a folder differ: those of multi-frame files, else their own."""
    named = [
        one.file.stem if one.is_multi_frame else f"{header.number}_{header.description}".strip("_")
        for one in series
        for header in one.headers[:1]
    ]
    lower = [name.lower() for name in named]
    return [
        name if name and lower.count(name.lower()) == 1 else f"{name}_{one.file.stem}".strip("_")
        for name, one in zip(named, series, strict=True)
    ]
