"""Read a data set and run all checks on it."""

from collections.abc import Mapping
from pathlib import Path

from nnunet_sparse.doctor import (
    batch_checks,
    fingerprint_check,
    preprocessed_checks,
    raw_checks,
    split_checks,
)
from nnunet_sparse.doctor.check import Outcome, checks_of, run_checks
from nnunet_sparse.doctor.configuration_evidence import ConfigurationEvidence
from nnunet_sparse.doctor.dataset_evidence import DatasetEvidence
from nnunet_sparse.doctor.finding import Diagnosis, Finding, Skipped
from nnunet_sparse.doctor.subject import Subject
from nnunet_sparse.system.wording import command_line
from nnunet_sparse.trainers.trainer_classes import OURS, find_trainer

# in this order their checks stand in the report
CHECK_MODULES = (raw_checks, split_checks, fingerprint_check, preprocessed_checks, batch_checks)


def examine(
    subject: Subject,
    trainer: str,
    num_batches: int | None = None,
    pictures: Mapping[str, Path] | None = None,
    num_processes: int = 1,
) -> Diagnosis:
    """Run all checks; nothing of the data set is written.

    Parameters
    ----------
    subject
        The data set.
    trainer
        Trainer whose batches are drawn, beside those of ``nnUNetTrainer``.
    num_batches
        Batches drawn from each; None for as many as take about half a minute.
    pictures
        PNG files to be drawn, by configuration.
    num_processes
        Number of processes that read cases.

    Raises
    ------
    SparseError
        If a file cannot be read, or the trainer does not exist.
    """
    if trainer not in OURS:
        find_trainer(trainer)
    dataset = DatasetEvidence(subject, num_processes)
    checks = [c for module in CHECK_MODULES for c in checks_of(module, per_configuration=False)]
    outcomes: list[Outcome] = run_checks(checks, dataset)
    if subject.plans is None:
        makes = command_line("nnsparse_plan_and_preprocess", "-d", subject.raw.name)
        outcomes.append(
            Skipped(
                "preprocessed data and batches",
                f"{subject.preprocessed} has no plans; {makes} makes them",
            )
        )
    checks = [c for module in CHECK_MODULES for c in checks_of(module, per_configuration=True)]
    drawn: list[str] = []
    for configuration in subject.configurations:
        picture = (pictures or {}).get(configuration)
        evidence = ConfigurationEvidence(dataset, configuration, trainer, num_batches, picture)
        outcomes += run_checks(checks, evidence, dataset)
        if picture is not None and picture.is_file():
            drawn.append(str(picture))
    return Diagnosis(
        dataset=subject.raw.name,
        plans=None if subject.plans is None else subject.plans["plans_name"],
        trainer=trainer,
        findings=[outcome for outcome in outcomes if isinstance(outcome, Finding)],
        skipped=[outcome for outcome in outcomes if isinstance(outcome, Skipped)],
        pictures=drawn,
    )
