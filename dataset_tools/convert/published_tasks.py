"""The paper's tasks: which data set, which voxels, which split.

Numbers are those of Zhang, Kramer and Mazurowski (MIDL 2026, table 1), turned to (z, y, x). The
paper does not say how volumes were resampled, cropped or padded, nor which cases are in which part.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

from nnunet_sparse.dataset_tools.convert.paper_split import SplitSizes

if TYPE_CHECKING:
    from nnunet_sparse.dataset_tools.convert.source_cases import LabelledVolume, SourceCase
    from nnunet_sparse.dataset_tools.convert.target_grid import Size, Triple


@dataclass(frozen=True)
class PublishedTask:
    """One task of the paper.

    Attributes
    ----------
    name
        Name of the data set after its ID, unless the user gives another one.
    description, licence, reference
        For ``dataset.json``.
    spacing_mm, size
        Of the converted volumes, (z, y, x).
    split
        The paper's numbers of cases.
    channel_name
        Decides how nnU-Net normalises: ``CT`` by the foreground of all cases, others each case by
        its own mean and standard deviation.
    labels
        Label values by name.
    check
        Refuses damaged files of a case without reading voxels; may return what should be known.
    read
        Reads a case.
    context
        Names of labels that are not the target (:mod:`nnunet_sparse.training.roles`).
    padding
        Intensity of voxels outside the source, which is that of air.
    """

    name: str
    description: str
    licence: str
    reference: str
    spacing_mm: "Triple"
    size: "Size"
    split: SplitSizes
    channel_name: str
    labels: dict[str, int]
    check: "Callable[[SourceCase], str | None]"
    read: "Callable[[SourceCase], LabelledVolume]"
    context: tuple[str, ...] = ()
    padding: float = 0.0


# what reads voxels is imported when it is called: the parsers of commands read this table as well


def _check_lits17(case: "SourceCase") -> str | None:
    from nnunet_sparse.dataset_tools.convert.lits17 import check_lits17

    return check_lits17(case)


def _read_lits17(case: "SourceCase") -> "LabelledVolume":
    from nnunet_sparse.dataset_tools.convert.lits17 import read_lits17

    return read_lits17(case)


def _check_dbc(case: "SourceCase") -> None:
    from nnunet_sparse.dataset_tools.convert.dbc import check_dbc

    check_dbc(case)


def _read_dbc(case: "SourceCase", *, tissue: bool) -> "LabelledVolume":
    from nnunet_sparse.dataset_tools.convert.dbc import read_dbc

    return read_dbc(case, tissue=tissue)


def _check_atlas(case: "SourceCase") -> None:
    from nnunet_sparse.dataset_tools.convert.source_cases import check_files

    check_files(case)


def _read_atlas(case: "SourceCase") -> "LabelledVolume":
    from nnunet_sparse.dataset_tools.convert.atlas import read_atlas

    return read_atlas(case)


_DBC_BREAST = PublishedTask(
    name="DBC_Breast",
    description="Breast in T1-weighted MRI before contrast",
    licence="CC BY-NC 4.0 (see LICENSE in the download)",
    reference="Saha et al. 2018, doi:10.7937/TCIA.e3sv-re93; masks: Lew et al. 2024",
    spacing_mm=(1.0, 0.7, 0.7),
    size=(176, 496, 496),
    split=SplitSizes(72, 8, 20),
    channel_name="T1",
    labels={"background": 0, "breast": 1},
    check=_check_dbc,
    read=partial(_read_dbc, tissue=False),
)

PUBLISHED_TASKS = {
    "lits17": PublishedTask(
        name="LiTS17",
        description="Liver and liver tumours in CT",
        licence="CC BY-NC-ND 4.0 (see the terms of the challenge)",
        reference="Bilic et al. 2023, doi:10.1016/j.media.2022.102680",
        spacing_mm=(1.0, 1.0, 1.0),
        size=(384, 384, 384),
        split=SplitSizes(96, 10, 25),
        channel_name="CT",
        labels={"background": 0, "liver": 1, "tumour": 2},
        context=("liver",),
        padding=-1024.0,
        check=_check_lits17,
        read=_read_lits17,
    ),
    "dbc_breast": _DBC_BREAST,
    "dbc_fgt": replace(
        _DBC_BREAST,
        name="DBC_FGT",
        description="Fibroglandular tissue in T1-weighted MRI before contrast",
        labels={"background": 0, "FGT": 1},
        read=partial(_read_dbc, tissue=True),
    ),
    "atlas": PublishedTask(
        name="ATLAS",
        description="Stroke lesions in T1-weighted MRI, ATLAS R2.0",
        licence="by agreement with the publishers",
        reference="Liew et al. 2022, doi:10.1038/s41597-022-01401-7",
        spacing_mm=(1.0, 1.0, 1.0),
        size=(189, 256, 224),
        split=SplitSizes(500, 55, 100),
        channel_name="T1",
        labels={"background": 0, "lesion": 1},
        check=_check_atlas,
        read=_read_atlas,
    ),
}
"""By the name that commands and records use."""
