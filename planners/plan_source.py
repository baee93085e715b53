"""Where the plans of a data set come from: its base, itself, or any other data set."""

import hashlib
import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from nnunet_sparse.data.dataset_name import dataset_names
from nnunet_sparse.data.declared_labels import ignore_label_of, without_ignore
from nnunet_sparse.data.plans_configuration import Plans
from nnunet_sparse.data.preprocessing_record import digest_of
from nnunet_sparse.data.raw_dataset import RawDataset
from nnunet_sparse.planners.plan_store import stored_plans
from nnunet_sparse.planners.planning_input import (
    PlanningInput,
    base_input,
    own_input,
    read_base_name,
)
from nnunet_sparse.planners.plans import FINGERPRINT_FILE, read_plans
from nnunet_sparse.system.errors import SparseError
from nnunet_sparse.system.json_files import load_json
from nnunet_sparse.system.paths import NnUNetPaths
from nnunet_sparse.training.settings import BLOCK

logger = logging.getLogger(__name__)

OWN = "own"


class PlanSource(Protocol):
    """Fingerprint and plans that a data set is given."""

    @property
    def digest(self) -> str:
        """Hash of everything on which they depend."""

    @property
    def existing_plans(self) -> Plans | None:
        """Plans that need not be made, or None."""

    def obtain(self, num_processes: int) -> tuple[Path, Plans]:
        """The fingerprint's file, and the plans as they are called where they come from."""


@dataclass(frozen=True)
class MeasuredSource:
    """Plans made by a planner from what is measured.

    Attributes
    ----------
    preprocessed
        ``nnUNet_preprocessed``.
    source
        What is measured.
    planner
        Name of the planner.
    """

    preprocessed: Path
    source: PlanningInput
    planner: str

    @property
    def digest(self) -> str:
        """Hash of everything on which they depend."""
        return digest_of(self.source.plans_digest, self.planner)

    @property
    def existing_plans(self) -> None:
        """They are not known before they are obtained."""

    def obtain(self, num_processes: int) -> tuple[Path, Plans]:
        """Have them made, or take them from where they were made before."""
        return stored_plans(self.preprocessed, self.source, self.planner, num_processes)


@dataclass(frozen=True)
class ForeignSource:
    """Plans of another data set, by whomever they were made.

    Attributes
    ----------
    fingerprint
        Its ``dataset_fingerprint.json``.
    plans
        Its plans.
    """

    fingerprint: Path
    plans: Plans

    @property
    def digest(self) -> str:
        """Hash of their content."""
        return digest_of(self.plans, hashlib.sha256(self.fingerprint.read_bytes()).hexdigest())

    @property
    def existing_plans(self) -> Plans:
        """The plans."""
        return self.plans

    def obtain(self, num_processes: int) -> tuple[Path, Plans]:  # noqa: ARG002
        """The files as they are."""
        return self.fingerprint, self.plans


def find_source(
    paths: NnUNetPaths, raw: RawDataset, planner: str, plans_name: str, plans_from: str | None
) -> PlanSource:
    """Decide where the plans of a data set come from.

    Parameters
    ----------
    paths
        nnU-Net's folders.
    raw
        A checked data set.
    planner
        Name of the planner that makes the plans where they have to be made.
    plans_name
        Name of the plans' file, for those of another data set.
    plans_from
        Name or ID of a data set; ``own`` for the data set itself; None for the base of a variant,
        and for the data set itself where there is no base with labels.

    Raises
    ------
    SparseError
        If there are no such plans, or they do not fit.
    """
    base = read_base_name(raw.folder)
    labelled = base is not None and _is_labelled(paths, base)
    if plans_from is None:
        if base is not None and not labelled:
            logger.info("no labels of %s in %s: %s gets its own plans", base, paths.raw, raw.name)
        plans_from = base if base is not None and labelled else OWN
    other = plans_from if plans_from == OWN else _find(paths, plans_from)
    if other in (OWN, raw.name):
        return MeasuredSource(paths.preprocessed, own_input(raw), planner)
    if other == base and labelled:
        return MeasuredSource(paths.preprocessed, base_input(paths, raw, other), planner)
    return _foreign_source(paths, raw, other, plans_name)


def _is_labelled(paths: NnUNetPaths, base: str) -> bool:
    """Whether a base is there and has labels; that of an annotation team has none."""
    if not (paths.raw / base).is_dir():
        return False
    cases = RawDataset.open(paths.raw / base).training.values()
    return any(case.label is not None for case in cases)


def _find(paths: NnUNetPaths, name_or_id: str) -> str:
    """Full name of a data set that exists raw or preprocessed."""
    names = {*dataset_names(paths.raw), *dataset_names(paths.preprocessed)}
    is_id = name_or_id.isascii() and name_or_id.isdigit()
    found = [n for n in names if (int(n[7:10]) == int(name_or_id) if is_id else n == name_or_id)]
    if len(found) == 1:
        return found[0]
    if found:
        raise SparseError(f"ID {name_or_id} is taken by several data sets: {', '.join(found)}")
    raise SparseError(
        f"--plans_from {name_or_id}: there is no such data set in {paths.raw} or "
        f"{paths.preprocessed} ({OWN!r} takes the data set's own)"
    )


def _foreign_source(
    paths: NnUNetPaths, raw: RawDataset, other: str, plans_name: str
) -> ForeignSource:
    folder = paths.preprocessed / other
    file, fingerprint = folder / f"{plans_name}.json", folder / FINGERPRINT_FILE
    plans = read_plans(file)
    if plans is None:
        there = sorted(p.stem for p in folder.glob("*.json") if read_plans(p) is not None)
        raise SparseError(
            f"{file} holds no plans; choose others of {other} with -p "
            f"(there: {', '.join(there) or 'none'})"
        )
    declared = _read_object(folder / "dataset.json")
    measured = _read_object(fingerprint)
    channels = declared.get("channel_names", declared.get("modality", {}))
    if list(channels.values()) != list(raw.channel_names.values()):
        raise SparseError(
            f"the plans of {other} are for the channels {_listed(channels.values())}, "
            f"{raw.name} has {_listed(raw.channel_names.values())}"
        )
    labels = [without_ignore(d.get("labels", {})) for d in (declared, raw.dataset_json)]
    if labels[0] != labels[1]:
        raise SparseError(
            f"the plans of {other} are for the labels {labels[0]}, {raw.name} has {labels[1]}"
        )
    if BLOCK not in plans:
        ignores = ignore_label_of(declared.get("labels", {})) is not None
        provenance = {
            "data_set": other,
            "cases": len(measured.get("spacings", [])),
            # nnU-Net measures ignored voxels as if they were foreground
            "labels": "unknown" if ignores else "dense",
        }
        plans = plans | {BLOCK: {"fingerprint": provenance}}
        if ignores and any("CT" in s for s in _normalizations(plans)):
            logger.warning(
                "%s was perhaps measured with ignored voxels as foreground, which spoils CT "
                "normalisation",
                fingerprint,
            )
    return ForeignSource(fingerprint, plans)


def _read_object(file: Path) -> dict[str, Any]:
    try:
        content = load_json(file, float)
    except (OSError, ValueError):
        content = None
    if not isinstance(content, dict):
        raise SparseError(f"{file} is missing or damaged; it is needed beside the plans")
    return content


def _normalizations(plans: Plans) -> set[str]:
    schemes = (c.get("normalization_schemes", []) for c in plans["configurations"].values())
    return set[str]().union(*schemes)


def _listed(names: Any) -> str:
    return ", ".join(map(str, names)) or "(none)"
