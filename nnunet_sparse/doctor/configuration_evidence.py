"""What checks of a configuration may ask for: its preprocessed data, and batches drawn from it."""

import filecmp
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from nnunet_sparse.data.annotation import MASK_SUFFIX
from nnunet_sparse.data.preprocessing_record import StepRecord
from nnunet_sparse.doctor.batch_checks import BatchFacts
from nnunet_sparse.doctor.check import Outcome, UnavailableError
from nnunet_sparse.doctor.dataset_evidence import DatasetEvidence
from nnunet_sparse.doctor.finding import Finding, Skipped
from nnunet_sparse.doctor.preprocessed_case import (
    PreprocessedFacts,
    PreprocessedJob,
    read_preprocessed_facts,
)
from nnunet_sparse.doctor.preprocessed_checks import FileTimes
from nnunet_sparse.doctor.properties_file import strange_properties
from nnunet_sparse.system.digests import file_digest
from nnunet_sparse.system.errors import SparseError
from nnunet_sparse.system.parallel import map_cases
from nnunet_sparse.system.wording import command_line
from nnunet_sparse.trainers.repeats import check_preprocessed
from nnunet_sparse.trainers.trainer_classes import STOCK_TRAINER

if TYPE_CHECKING:
    from nnunet_sparse.doctor.batch_recorder import NoBatchesError
    from nnunet_sparse.doctor.drawn_batches import DrawnBatches


class ConfigurationEvidence:
    """What is known of the preprocessed data of one configuration, and of batches drawn from it.

    Parameters
    ----------
    dataset
        Its data set, which has plans.
    configuration
        Configuration of the plans.
    trainer
        Trainer whose batches are drawn, beside those of ``nnUNetTrainer``.
    num_batches
        Batches drawn from each; None for as many as take about half a minute.
    picture
        PNG file to be drawn, or None.
    """

    def __init__(
        self,
        dataset: DatasetEvidence,
        configuration: str,
        trainer: str,
        num_batches: int | None,
        picture: Path | None,
    ) -> None:
        self.dataset = dataset
        self._configuration = configuration
        self._trainer = trainer
        self._num_batches = num_batches
        self._picture = picture
        self._resolved = dataset.subject.resolved(configuration)
        self._folder = dataset.subject.data_folder(configuration)
        self._cases = dataset.subject.data_cases(configuration)

    @property
    def configuration(self) -> str:
        """Name of the configuration."""
        return self._configuration

    @property
    def dimensions(self) -> int:
        """Number of dimensions of the patches, 2 or 3."""
        return len(self._resolved["patch_size"])

    @property
    def transpose_forward(self) -> tuple[int, ...]:
        """Order of the axes after preprocessing."""
        plans = self.dataset.subject.plans
        assert plans is not None
        return tuple(int(axis) for axis in plans["transpose_forward"])

    @cached_property
    def preprocessed_facts(self) -> Mapping[str, PreprocessedFacts]:
        """What became of the annotated slices of sparse cases, or would become without data."""
        if self._strange is not None:
            raise UnavailableError(self._strange)
        subject = self.dataset.subject
        cases = set(self._cases)
        jobs = {
            case_id: PreprocessedJob(
                case_id=case_id,
                label=subject.raw.training[case_id].label or Path(),
                reader=subject.raw.any_reader,
                folder=self._folder if case_id in cases else None,
                axis=self.dataset.axis,
                ignore_label=subject.ignore_label,
                transpose_forward=self.transpose_forward,
                configuration={
                    name: self._resolved[name]
                    for name in ("spacing", "resampling_fn_seg", "resampling_fn_seg_kwargs")
                },
                spacing=case.spacing,
            )
            for case_id, case in self.dataset.facts.items()
            if not case.is_dense and (case_id in cases or not cases)
        }
        return map_cases(
            read_preprocessed_facts,
            jobs,
            self.dataset.num_processes,
            f"Comparing {self._configuration}",
        )

    @property
    def preprocessed_cases(self) -> Sequence[str]:
        """Labelled cases that are preprocessed, ascending; there is one at least."""
        self._check_preprocessed()
        return sorted(set(self._cases) & set(self.dataset.facts))

    @property
    def file_times(self) -> Mapping[str, FileTimes]:
        """Times of raw and preprocessed labels of every labelled case, and what is the same."""
        self._check_preprocessed()
        digests = StepRecord(self._folder.parent).label_digests(self._folder.name)
        times = {}
        for case_id in self.dataset.labelled:
            label = self.dataset.subject.raw.training[case_id].label
            record = self._folder / f"{case_id}.pkl"
            found = FileTimes(
                label.stat().st_mtime_ns if label is not None else None,
                record.stat().st_mtime_ns if record.is_file() else None,
            )
            if label is not None and found.preprocessed is not None:
                if case_id in digests:
                    found = replace(found, is_same=digests[case_id] == file_digest(label))
                elif found.is_old and self._is_copied(label, case_id, record):
                    found = replace(found, is_same=True)
            times[case_id] = found
        return times

    def _is_copied(self, label: Path, case_id: str, record: Path) -> bool:
        """Whether nnU-Net's copy of a label is the same, and older than the preprocessed one."""
        ending = self.dataset.subject.raw.file_ending
        copy = self._folder.parent / "gt_segmentations" / f"{case_id}{ending}"
        if not copy.is_file() or copy.stat().st_mtime_ns > record.stat().st_mtime_ns:
            return False
        return filecmp.cmp(label, copy, shallow=False)

    @property
    def unfinished(self) -> str:
        """What is known of a preprocessing of ours that was not finished, or nothing."""
        try:
            check_preprocessed(self._folder)
        except SparseError as error:
            return str(error)
        return ""

    @property
    def use_mask_for_norm(self) -> Sequence[bool]:
        """For each channel whether it is normalised within the non-zero mask."""
        use: list[bool] = self._resolved["use_mask_for_norm"]
        return use

    @property
    def masked_cases(self) -> Sequence[str] | None:
        """Cases with a mask beside the preprocessed data; None without such a folder."""
        masks = self._folder.with_name(self._folder.name + MASK_SUFFIX)
        return [file.stem for file in masks.glob("*.b2nd")] if masks.is_dir() else None

    @property
    def batches(self) -> BatchFacts:
        """Patches of the trainer."""
        return self._drawn_batches().own.facts

    @property
    def level_weights(self) -> Sequence[float]:
        """Weight of each of its outputs in the loss."""
        return self._drawn_batches().own.level_weights

    @property
    def stock_batches(self) -> BatchFacts:
        """Patches of ``nnUNetTrainer``."""
        return self._drawn_batches().stock.facts

    @property
    def stock_level_weights(self) -> Sequence[float]:
        """Weight of each of its outputs in the loss."""
        return self._drawn_batches().stock.level_weights

    @cached_property
    def _strange(self) -> Finding | None:
        """Properties that are not read, and that nnU-Net must not read either."""
        return strange_properties(self._folder, self._cases, self._configuration)

    def _check_preprocessed(self) -> None:
        if not self._cases:
            # the batches say so
            raise UnavailableError

    def _drawn_batches(self) -> "_Batches":
        if not isinstance(self._sampled, _Batches):
            raise UnavailableError(self._sampled)
        return self._sampled

    @cached_property
    def _sampled(self) -> "_Batches | Outcome":
        """Batches of the trainer and of nnU-Net's, of which a picture is drawn; or why not."""
        subject, folds = self.dataset.subject, self.dataset.folds
        if not self._cases:
            options = ("-d", subject.raw.name, "-c", self._configuration)
            makes = command_line("nnsparse_plan_and_preprocess", *options)
            return Skipped(
                "batches",
                f"{self._folder} holds no preprocessed case; {makes} makes them",
                self._configuration,
            )
        if self._strange is not None:
            return self._strange
        cases = [case for case in self._cases if not folds or case in folds[0].train]
        if not cases:
            return Skipped(
                "batches",
                f"no training case of {folds[0].name} is preprocessed",
                self._configuration,
            )
        from nnunet_sparse.doctor.batch_recorder import NoBatchesError

        try:
            return self._sample(cases)
        except NoBatchesError as error:
            return Finding(
                check="batches",
                verdict="broken",
                number=0,
                found=str(error),
                advice="a training would end like this: see to the other findings first",
                configuration=self._configuration,
            )

    def _sample(self, cases: Sequence[str]) -> "_Batches":
        from nnunet_sparse.doctor.drawn_batches import BatchRequest, draw

        subject = self.dataset.subject
        requests = {
            trainer: BatchRequest(
                subject,
                self._configuration,
                trainer,
                tuple(cases),
                self._num_batches,
                self._trainer,
            )
            for trainer in dict.fromkeys((self._trainer, STOCK_TRAINER))
        }
        found = map_cases(
            draw, requests, self.dataset.num_processes, f"Drawing batches of {self._configuration}"
        )
        drawn = {trainer: _made(batches) for trainer, batches in found.items()}
        if self._picture is not None:
            from nnunet_sparse.doctor.batch_picture import draw_batches

            draw_batches(
                {name: requests[name].open(name) for name in (STOCK_TRAINER, self._trainer)},
                subject.classes,
                self._picture,
                f"{subject.raw.name}, {self._configuration}",
            )
        return _Batches(drawn[self._trainer], drawn[STOCK_TRAINER])


def _made(batches: "DrawnBatches | NoBatchesError") -> "DrawnBatches":
    if isinstance(batches, Exception):
        raise batches
    return batches


@dataclass(frozen=True)
class _Batches:
    own: "DrawnBatches"
    stock: "DrawnBatches"
