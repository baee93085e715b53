"""Every reader of JSON, YAML and tables of ours, with a file that it takes."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from campaign.conftest import save_nifti
from grid_fixtures import TINY
from preprocessing_fixtures import make_plans

from nnunet_sparse.campaign.campaign import Campaign, Round
from nnunet_sparse.campaign.label_descriptions import itksnap_text, slicer_text
from nnunet_sparse.campaign.slice_times import minutes_texts, read_times
from nnunet_sparse.campaign.times_table import times_table
from nnunet_sparse.campaign.validation_share import KeptSplit
from nnunet_sparse.campaign.volume_list import read_list
from nnunet_sparse.campaign.worklist import read_worklist, work_order, write_worklist
from nnunet_sparse.data.folds import is_cross_validation, read_splits
from nnunet_sparse.data.geometry import Geometry, spacing_of
from nnunet_sparse.data.groups import read_grouping
from nnunet_sparse.data.preprocessing_record import StepRecord
from nnunet_sparse.data.raw_dataset import RawDataset, dense_datasets
from nnunet_sparse.data.slice_axis import read_slice_axis
from nnunet_sparse.data.split import SplitRequest, find_split
from nnunet_sparse.dataset_tools.convert.conversion_record import read_parameters
from nnunet_sparse.dataset_tools.convert.spacing_table import read_spacings
from nnunet_sparse.dataset_tools.earlier_partials import is_called
from nnunet_sparse.doctor.dataset_evidence import _held_intensities
from nnunet_sparse.doctor.plans_file import choose_plans
from nnunet_sparse.doctor.subject import open_subject
from nnunet_sparse.evaluation.evaluated_labels import labels_from_dataset_json
from nnunet_sparse.grid.job_records import GridFolder
from nnunet_sparse.grid.jobs import job_graph
from nnunet_sparse.grid.open_grid import open_grid
from nnunet_sparse.grid.stored_scores import read_scores
from nnunet_sparse.planners.planning_input import read_base_name
from nnunet_sparse.planners.plans import data_identifiers, read_plans
from nnunet_sparse.prediction.trained_network import TrainedNetwork
from nnunet_sparse.selection.selection import CaseSelection, Selection
from nnunet_sparse.selection.variant import Variant
from nnunet_sparse.system.model_folder import ModelFolder
from nnunet_sparse.system.paths import NnUNetPaths

CASES = ("a", "b", "c")


@dataclass(frozen=True)
class Reader:
    """A file that strangers may have written, and what reads it.

    Attributes
    ----------
    file
        Its path below the folder of the test.
    content
        What it may hold: a JSON document, or the text of a YAML file or table.
    read
        Reads it, given the folder, and uses what it has read.
    """

    file: str
    content: Any
    read: Callable[[Path], object]

    @property
    def text(self) -> str:
        """The content as it is written."""
        return self.content if isinstance(self.content, str) else json.dumps(self.content)


DATASET_JSON = {
    "channel_names": {"0": "MR"},
    "labels": {"background": 0, "organ": 1, "lesion": 2, "ignore": 3},
    "numTraining": 3,
    "file_ending": ".nii.gz",
    "dataset": {
        case: {"images": [f"imagesTr/{case}_0000.nii.gz"], "label": f"labelsTr/{case}.nii.gz"}
        for case in CASES
    },
}
SLICES = {"a": (1, 2), "b": (0,)}
SPLIT = {"version": 1, "seed": 0, "train": ["a"], "val": ["b"], "test": ["c"]}
GROUPS = {"groups": {"pattern": "(.)", "cases": {case: case for case in CASES}}}
MEANS = {metric: {"mean": 0.5} for metric in ("Dice", "IoU", "HD95_mm", "NSD")}
SCORES = {
    "nnsparse": {
        "num_cases": 1,
        "per_label": {"1": {"name": "organ", "batched_IoU": 0.5, "batched_Dice": 0.6, **MEANS}},
        "per_case": [{"case": "a", "labels": {"1": {"TP": 1, "FP": 2, "FN": 3}}}],
    }
}
RECORD = {
    "version": 1,
    "run": "a",
    "asked": {},
    "inputs": {"dataset/a": "b"},
    "seconds": 1.5,
    "facts": {"training_s": 60.0},
}
FINGERPRINT = {"foreground_intensity_properties_per_channel": {"0": {"mean": 1.0, "std": 2.0}}}


def paths_in(folder: Path) -> NnUNetPaths:
    return NnUNetPaths.below(folder)


def raw_folder(folder: Path) -> Path:
    return paths_in(folder).raw / "Dataset004_Tiny"


def _read_raw(folder: Path) -> None:
    raw = RawDataset.open(raw_folder(folder))
    _ = (raw.num_channels, raw.ignore_label, raw.label_values, raw.channel_names)
    for case in raw.training.values():
        assert (folder / case.case_id).parent == folder
        _ = [file.is_file() for file in case.images]
    dense_datasets(paths_in(folder).raw)


def _read_subject(folder: Path) -> None:
    subject = open_subject(paths_in(folder), "4", None, None)
    _ = (subject.classes, subject.labelled)
    _held_intensities(subject)
    for name in subject.configurations:
        assert subject.data_folder(name).parent == subject.preprocessed


def _read_campaign(folder: Path) -> None:
    campaign = Campaign.read(folder / "campaign")
    for case_id in campaign.volumes:
        assert campaign.label_file(case_id).parent == campaign.folder / "labels"
    _ = (campaign.images, campaign.asked_cases, campaign.ignore_label, work_order(campaign))
    itksnap_text(campaign), slicer_text(campaign)


def _read_worklist(folder: Path) -> None:
    campaign = Campaign.read(folder / "campaign")
    answers = read_worklist(campaign)
    for case_id in campaign.volumes:
        _ = (answers.confirmed(case_id), answers.minutes(case_id), answers.annotators(case_id))
    write_worklist(campaign, answers)
    again = read_worklist(campaign)
    assert [again.notes(case_id) for case_id in CASES] == [answers.notes(c) for c in CASES]


def _read_times(folder: Path) -> None:
    times = read_times(Campaign.read(folder / "campaign"))
    times_table(times)
    _ = [minutes_texts(times, case_id, 1) for case_id in CASES]


def _read_network(folder: Path) -> None:
    network = TrainedNetwork.open(folder / "model")
    _ = (network.labels, network.label_values, network.regions_class_order, network.channels)
    json.dumps([network.provenance(), network.dataset_name])
    assert network.trained_on(paths_in(folder), []) == ()


def _read_plans(folder: Path) -> None:
    preprocessed = paths_in(folder).preprocessed / "Dataset004_Tiny"
    plans = read_plans(preprocessed / "testPlans.json")
    if plans is not None:
        assert all((folder / name).parent == folder for name in data_identifiers(plans))
    choose_plans(preprocessed, "testPlans")


def _read_grid(folder: Path) -> None:
    job_graph(open_grid(folder / "grid.yaml"))


def _read_record(folder: Path) -> None:
    record = GridFolder(folder).read("train/a")
    assert record is None or record.duration_s >= 0


def _read_steps(folder: Path) -> None:
    record = StepRecord(folder)
    _ = (record.names("preprocessed"), record.label_digests("a"))


SELECTION = Selection(
    "Dataset004_Tiny", Variant(0.5), 0, {c: CaseSelection(3, s) for c, s in SLICES.items()}
).to_json()
CAMPAIGN = {
    "version": 1,
    "request": {},
    "dataset": {
        "channel_names": {"0": "MR"},
        "labels": {"background": 0, "organ": 1, "lesion": 2},
    },
    "axis": 0,
    "plane": "axial",
    "volumes": {c: {"num_slices": 3, "sources": [f"{c}.nii.gz"], "weight": 1.0} for c in CASES},
    "rounds": [
        Round(Variant(0.5, 1.0, "random"), SLICES, complete=True).to_json(),
    ],
}
PLANS = make_plans() | FINGERPRINT
WORKLIST = (
    "order,case,slice,confirmed_empty,annotator,minutes,note,mine\n"
    "1,a,1,yes,Ann,1.5,dark,x\n2,a,2,,Bob,2,,\n3,b,0,no,,,,\n"
)
OF_NETWORK = {
    "dataset_name": "Dataset004_Tiny",
    "plans_name": "testPlans",
    "image_reader_writer": "SimpleITKIO",
    "transpose_forward": [0, 1, 2],
    "configurations": {"2d": {"spacing": [1.0, 1.0]}},
}
TIMES = (
    "visit,case_id,slice_index,annotator,seconds,state,objects,distance,opens\n"
    "v1,a,1,Ann,20.5,done,2,,yes\nv2,a,2,Bob,3,confirmed empty,0,1,\n"
)
IN_RAW, IN_PREPROCESSED = "nnUNet_raw/Dataset004_Tiny", "nnUNet_preprocessed/Dataset004_Tiny"

READERS: dict[str, Reader] = {
    "data set": Reader(f"{IN_RAW}/dataset.json", DATASET_JSON, _read_raw),
    "data set, doctor": Reader(f"{IN_RAW}/dataset.json", DATASET_JSON, _read_subject),
    "data set, evaluation": Reader(
        f"{IN_RAW}/dataset.json",
        DATASET_JSON,
        lambda f: labels_from_dataset_json(raw_folder(f) / "dataset.json"),
    ),
    "plans": Reader(f"{IN_PREPROCESSED}/testPlans.json", PLANS, _read_plans),
    "plans, doctor": Reader(f"{IN_PREPROCESSED}/testPlans.json", PLANS, _read_subject),
    "fingerprint": Reader(
        f"{IN_PREPROCESSED}/dataset_fingerprint.json", FINGERPRINT, _read_subject
    ),
    "split": Reader(
        f"{IN_PREPROCESSED}/nnsparse_split.json",
        SPLIT | GROUPS,
        lambda f: find_split(RawDataset.open(raw_folder(f)), paths_in(f), SplitRequest()),
    ),
    "folds": Reader(
        "splits_final.json",
        [{"train": ["a", "b"], "val": ["c"]}, {"train": ["a", "c"], "val": ["b"]}],
        lambda f: is_cross_validation(read_splits(f / "splits_final.json")),
    ),
    "selection": Reader(
        "selection.json", SELECTION, lambda f: Selection.read(f / "selection.json").budget
    ),
    "selection, axis": Reader("selection.json", SELECTION, read_slice_axis),
    "selection, base": Reader("selection.json", SELECTION, read_base_name),
    "steps": Reader("nnsparse_steps.json", {"preprocessed/a": "b", "labels/a/c": "d"}, _read_steps),
    "campaign": Reader("campaign/campaign.json", CAMPAIGN, _read_campaign),
    "campaign's split": Reader(
        "split.json",
        {"train": ["a"], "val": ["b"], "folds": {"5": {"a": 1}}} | GROUPS,
        lambda f: KeptSplit.read(f).grouped(None, CASES, f).to_json(),
    ),
    "worklist": Reader("campaign/worklist.csv", WORKLIST, _read_worklist),
    "measured times": Reader("campaign/slice_times.csv", TIMES, _read_times),
    "plans of a network": Reader("model/plans.json", OF_NETWORK, _read_network),
    "data set of a network": Reader("model/dataset.json", DATASET_JSON, _read_network),
    "groups": Reader(
        "groups.csv",
        "case,patient\na,1\nb,1\nc,2\n",
        lambda f: read_grouping(str(f / "groups.csv"), CASES),
    ),
    "spacings": Reader(
        "spacings.csv", "case;z;y;x\na;1,5;1;1\n", lambda f: read_spacings(f / "spacings.csv")
    ),
    "volumes": Reader(
        "volumes.csv", "image,case\nvolume.nii.gz,a\n", lambda f: list(read_list(f / "volumes.csv"))
    ),
    "spacing beside an image": Reader(
        "a.json",
        {"spacing": [1, 2, 3]},
        lambda f: spacing_of(Geometry((1, 1, 1), None), f / "a.json"),
    ),
    "experiment": Reader("grid.yaml", TINY, _read_grid),
    "record of a job": Reader("records/train/a.json", RECORD, _read_record),
    "scores": Reader("summary.json", SCORES, lambda f: read_scores(f / "summary.json")),
    "conversion": Reader("conversion.json", {"parameters": {"task": "a"}}, read_parameters),
    "unfinished data set": Reader("dataset.json", {"name": "a"}, lambda f: is_called(f, "a", "b")),
    "network": Reader(
        "training.json", {"base": "a"}, lambda f: ModelFolder(f, "command").read_record()
    ),
}


def in_folder(folder: Path) -> None:
    """Make what the readers find beside their file."""
    raw = raw_folder(folder)
    for case in CASES:
        save_nifti(raw / "imagesTr" / f"{case}_0000.nii.gz", np.zeros((3, 2, 2), np.float32), None)
        save_nifti(raw / "labelsTr" / f"{case}.nii.gz", np.zeros((3, 2, 2), np.uint8), None)
    (folder / "volume.nii.gz").touch()
    for case in CASES:
        for name in (f"images/{case}_0000.nii.gz", f"labels/{case}.nii.gz"):
            save_nifti(folder / "campaign" / name, np.zeros((3, 2, 2), np.uint8), None)
    for folder_of in (IN_PREPROCESSED, "records/train"):
        (folder / folder_of).mkdir(parents=True)
    (raw / "dataset.json").write_text(json.dumps(DATASET_JSON))
    (folder / "model" / "fold_0").mkdir(parents=True)
    (folder / "model" / "fold_0" / "checkpoint_final.pth").touch()
    (folder / "model" / "plans.json").write_text(json.dumps(OF_NETWORK))
    (folder / "model" / "dataset.json").write_text(json.dumps(DATASET_JSON))
    (folder / IN_PREPROCESSED / "testPlans.json").write_text(json.dumps(PLANS))
    (folder / "campaign" / "campaign.json").write_text(json.dumps(CAMPAIGN))
