"""What an annotation campaign is, and its folder.

::

    campaign.json       volumes, labels, and which slices were asked for
    worklist.csv        a line for each slice, for those who annotate
    images/             CASE_0000.nii.gz, in the geometry of the original
    labels/             CASE.nii.gz, edited by those who annotate
    README.html         what they need to know, with pictures/
    split.json          which volumes networks are validated on, from the first import on
    labels_itksnap.txt  names and colours of the labels, for ITK-SNAP
    labels_slicer.ctbl  the same for 3D Slicer
    features/           networks of selectors that look at images, and what networks predict
    predictions/        what trained networks predicted on slices that they have asked for
    second_reading/     the same for slices that another annotator is asked for as well

A *round* is one request for slices; the first makes the campaign, others extend it. Slices are
*asked for*; what a label holds on them says whether they are annotated.

A *second reading* is the annotation of a slice by another annotator, who does not see the first
one. It has its files in a campaign of its own within the folder, made of the rounds of the first.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from typing import Any

from nnunet_sparse.campaign.asked_round import ROUND_FORM, Round
from nnunet_sparse.data.declared_labels import declared_labels, ignore_label_for, label_names
from nnunet_sparse.data.geometry import PLANES
from nnunet_sparse.data.raw_dataset import Case, RawDataset
from nnunet_sparse.system.atomic import write_json
from nnunet_sparse.system.errors import SparseError
from nnunet_sparse.system.file_names import check_file_name
from nnunet_sparse.system.foreign_code import explained, in_one_line
from nnunet_sparse.system.json_files import load_json
from nnunet_sparse.system.json_form import (
    ANYTHING,
    AXIS,
    COUNT,
    NOT_NEGATIVE,
    OBJECT,
    TEXT,
    Keys,
    ListOf,
    NamesTo,
    Value,
    check_form,
)
from nnunet_sparse.system.paths import NnUNetPaths
from nnunet_sparse.system.wording import brief

CAMPAIGN_FILE = "campaign.json"
FILE_ENDING = ".nii.gz"
UNFINISHED_PREFIX = ".nnsparse_campaign_"
"""What precedes the name of a folder that is not complete."""
SECOND_FOLDER = "second_reading"
LOCK_FILE = ".nnsparse.lock"

_VERSION = 1
_WRITTEN_FOLDERS = ("labels", "pictures", "features", "predictions", SECOND_FOLDER)
_SECOND = "second_reading"
_SOFTWARE = ("nnunet-sparse", "nnunetv2", "numpy")
_VOLUME = Keys({"num_slices": COUNT, "sources": ListOf(TEXT), "weight": NOT_NEGATIVE})
_FORM = Keys(
    {
        "dataset": Keys({"channel_names": NamesTo(TEXT), "labels": OBJECT}),
        "axis": AXIS,
        "plane": Value(lambda plane: plane in tuple(PLANES), f"one of {', '.join(PLANES)}"),
        "volumes": NamesTo(_VOLUME, check_file_name),
        "rounds": ListOf(ROUND_FORM),
        "request": OBJECT,
    }
)


def image_path(case_id: str, channel: int) -> Path:
    """Where a campaign keeps a channel of a case, relative to its folder."""
    return Path("images", f"{case_id}_{channel:04d}{FILE_ENDING}")


@dataclass(frozen=True)
class CampaignVolume:
    """A volume of a campaign.

    Attributes
    ----------
    num_slices
        Length of the slice axis.
    sources
        Path of each channel's original, as the user gave it.
    weight
        Its share of the budget relative to other volumes; 0 for no slices.
    """

    num_slices: int
    sources: tuple[str, ...]
    weight: float = 1.0


@dataclass(frozen=True)
class Campaign:
    """Content of ``campaign.json``, and the folder it lies in.

    Attributes
    ----------
    folder
        The campaign's folder.
    dataset
        ``channel_names`` and ``labels`` as in ``dataset.json``, without ignore;
        ``regions_class_order`` where labels are regions.
    axis
        Slice axis of the array as read, (z, y, x).
    plane
        What its slices are closest to: ``axial``, ``coronal`` or ``sagittal``.
    volumes
        By case ID, those without a slice to annotate included.
    rounds
        Requests for slices, oldest first.
    request
        What the first command asked for; decides whether the same is asked for again.
    """

    folder: Path
    dataset: Mapping[str, Any]
    axis: int
    plane: str
    volumes: Mapping[str, CampaignVolume]
    rounds: tuple[Round, ...]
    request: Mapping[str, Any] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """Name of its folder, or what that will be called when it is complete."""
        folder = self.folder.resolve()
        if self.is_second_reading:
            return f"{folder.parent.name.removeprefix(UNFINISHED_PREFIX)}, second reading"
        return folder.name.removeprefix(UNFINISHED_PREFIX)

    @property
    def ignore_label(self) -> int:
        """Value of voxels that are not annotated: the highest label plus 1."""
        return ignore_label_for(self.images.dataset_json["labels"])

    @property
    def label_names(self) -> dict[int, str]:
        """Name of each label from 1 on; where labels are regions, of all regions it belongs to."""
        names = label_names(self.dataset["labels"])
        return {value: " + ".join(found) for value, found in names.items()}

    @cached_property
    def images(self) -> RawDataset:
        """Images and labels as a raw data set, for functions that take one."""
        training = {
            case_id: Case(case_id, self.image_files(case_id), self.label_file(case_id))
            for case_id in sorted(self.volumes)
        }
        content = {
            **self.dataset,
            "numTraining": len(training),
            "file_ending": FILE_ENDING,
        }
        # a fixed name: the folder may be renamed while networks trained on it are kept
        return RawDataset(Path("campaign"), content, training, {})

    @property
    def feature_paths(self) -> NnUNetPaths:
        """Folders of the networks of selectors, and of the features that they compute."""
        features = self.folder / "features"
        return NnUNetPaths(self.folder, features, features)

    def image_files(self, case_id: str) -> tuple[Path, ...]:
        """Images of a case, one per channel."""
        count = len(self.dataset["channel_names"])
        return tuple(self.folder / image_path(case_id, channel) for channel in range(count))

    def label_file(self, case_id: str) -> Path:
        """Label of a case that is to be edited."""
        return self.label_folder / f"{case_id}{FILE_ENDING}"

    @property
    def label_folder(self) -> Path:
        """Where the labels are that are to be edited."""
        return self.folder / "labels"

    def asked(self, case_id: str) -> tuple[int, ...]:
        """Ascending slices of a case that any round asks for."""
        found = {i for asking in self.rounds for i in asking.slices.get(case_id, ())}
        return tuple(sorted(found))

    @property
    def has_predictions(self) -> bool:
        """Whether predictions stand in prefilled labels, which are to be corrected."""
        return any(asking.is_prefilled for asking in self.rounds)

    @property
    def asked_cases(self) -> list[str]:
        """Sorted cases with a slice to annotate."""
        return sorted({case_id for asking in self.rounds for case_id in asking.slices})

    def second_asked(self, case_id: str) -> tuple[int, ...]:
        """Ascending slices of a case that another annotator is asked for as well."""
        found = {i for asking in self.rounds for i in asking.second_slices.get(case_id, ())}
        return tuple(sorted(found))

    @property
    def second_cases(self) -> list[str]:
        """Sorted cases with such a slice."""
        return sorted({case_id for asking in self.rounds for case_id in asking.second_slices})

    @property
    def is_second_reading(self) -> bool:
        """Whether it is what another annotator is asked for, within the folder of a campaign."""
        return _SECOND in self.request

    def second_reading(self) -> "Campaign":
        """What another annotator is asked for, as a campaign; its files may not be there yet."""
        rounds = tuple(
            Round(asking.variant, asking.second_slices, asking.parameters) for asking in self.rounds
        )
        return replace(
            self,
            folder=self.folder / SECOND_FOLDER,
            volumes={case_id: self.volumes[case_id] for case_id in self.second_cases},
            rounds=rounds,
            request={_SECOND: True},
        )

    def with_round(self, asking: Round) -> "Campaign":
        """The same with one more round."""
        return replace(self, rounds=(*self.rounds, asking))

    @property
    def is_complete(self) -> bool:
        """Whether the slices of all rounds are in labels, worklist and guide."""
        return all(asking.complete for asking in self.rounds)

    def completed(self) -> "Campaign":
        """The same, all rounds of which are complete."""
        return replace(self, rounds=tuple(replace(r, complete=True) for r in self.rounds))

    def write(self) -> None:
        """Write ``campaign.json`` in one step."""
        content = {
            "version": _VERSION,
            "request": dict(self.request),
            "dataset": dict(self.dataset),
            "axis": self.axis,
            "plane": self.plane,
            "volumes": {
                case_id: {
                    "num_slices": volume.num_slices,
                    "sources": list(volume.sources),
                    "weight": volume.weight,
                }
                for case_id, volume in sorted(self.volumes.items())
            },
            "rounds": [asking.to_json() for asking in self.rounds],
            "software": {package: version(package) for package in _SOFTWARE},
        }
        write_json(self.folder / CAMPAIGN_FILE, content, sort_keys=False)

    @classmethod
    def read(cls, folder: Path) -> "Campaign":
        """Read the campaign of a folder.

        Raises
        ------
        SparseError
            If the folder holds none, or a damaged one, or a link in place of a folder that is
            written to.
        """
        file = folder / CAMPAIGN_FILE
        try:
            content = load_json(file)
        except (FileNotFoundError, NotADirectoryError) as error:
            raise SparseError(
                f"{folder} is no campaign: it has no {CAMPAIGN_FILE} (nnsparse_worklist make "
                "makes one)"
            ) from error
        for name in _WRITTEN_FOLDERS:
            if (folder / name).is_symlink():
                raise SparseError(
                    f"{folder / name} is a link, through which files would be written outside the "
                    "campaign; put the folder itself in its place"
                )
        damaged = f"{file} is damaged"
        check_form(content, Keys({"version": ANYTHING}), damaged)
        if content["version"] != _VERSION:
            raise SparseError(
                f"{file} is of version {brief(content['version'])}, this is version {_VERSION}: "
                "was it made by another version of nnunet_sparse?"
            )
        check_form(content, _FORM, damaged)
        volumes = {
            case_id: CampaignVolume(v["num_slices"], tuple(v["sources"]), v["weight"])
            for case_id, v in content["volumes"].items()
        }
        with explained(lambda error: f"{damaged}: {in_one_line(error)}"):
            rounds = tuple(Round.from_json(asking) for asking in content["rounds"])
            declared_labels(content["dataset"], may_have_gaps=True)
        for asking in rounds:
            for case_id, slices in (*asking.slices.items(), *asking.second_slices.items()):
                if case_id not in volumes:
                    raise SparseError(f"{damaged}: it has no volume {case_id}")
                if not all(i < volumes[case_id].num_slices for i in slices):
                    raise SparseError(f"{damaged}: {case_id} has no slice {max(slices)}")
            for case_id, slices in asking.second_slices.items():
                if not set(slices) <= set(asking.slices.get(case_id, ())):
                    raise SparseError(
                        f"{damaged}: {case_id} is read twice on slices that were not asked for"
                    )
        return cls(
            folder,
            content["dataset"],
            content["axis"],
            content["plane"],
            volumes,
            rounds,
            content["request"],
        )
