"""What is known about the jobs of an experiment: records, logs and locks in its folder.

``records/STEP/KEY.json`` says that a job is done, what it was asked for and how long it took.
``done/STEP/KEY.json`` is what Snakemake looks at; it deletes these files as it likes.
"""

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeVar

from nnunet_sparse.system.atomic import write_json
from nnunet_sparse.system.errors import SparseError
from nnunet_sparse.system.json_files import load_json

logger = logging.getLogger(__name__)

VERSION = 1
_Value = TypeVar("_Value")


@dataclass(frozen=True)
class Record:
    """A job that is done.

    Attributes
    ----------
    run
        ID of the run: a new one each time the job is done.
    asked
        What the job was asked for.
    inputs
        IDs of the runs of the jobs before it, by their names.
    seconds
        How long it took, the last of several attempts.
    facts
        What else is worth knowing.
    """

    run: str
    asked: Mapping[str, Any]
    inputs: Mapping[str, str]
    seconds: float
    facts: Mapping[str, Any]

    @property
    def duration_s(self) -> float:
        """How long it took in all; a training that was continued has a short last attempt."""
        return float(max(self.seconds, self.facts.get("training_s", 0)))


@lru_cache  # a record is read many times
def _tell_damaged(file: Path) -> None:
    logger.warning("%s is damaged: its job is looked at again by the next run", file)


@dataclass(frozen=True)
class GridFolder:
    """Files in the folder of an experiment."""

    path: Path

    def done(self, job: str) -> Path:
        """File that Snakemake waits for."""
        return self.path / "done" / f"{job}.json"

    def record(self, job: str) -> Path:
        """File that says what was done."""
        return self.path / "records" / f"{job}.json"

    def log(self, job: str) -> Path:
        """Everything that the job has printed."""
        return self.path / "logs" / f"{job}.txt"

    def failure(self, job: str) -> Path:
        """File that says that the last attempt ended with an error."""
        return self.path / "failures" / f"{job}.txt"

    def lock(self, job: str) -> Path:
        """File that a process holds while it works on the job."""
        return self.path / "locks" / f"{job.replace('/', '__')}.lock"

    def predictions(self, training: str) -> Path:
        """Folder for the predicted test cases of a training."""
        return self.path / "predictions" / training

    def read(self, job: str) -> Record | None:
        """Record of a job; None if it is not done, or its record is damaged."""
        file = self.record(job)
        try:
            content = load_json(file)
            content.pop("version")
            record = Record(**content)
            maps = (record.asked, record.inputs, record.facts)
            if not all(isinstance(each, dict) for each in maps) or record.duration_s < 0:
                raise ValueError
        except FileNotFoundError:
            return None
        except (ValueError, TypeError, KeyError, AttributeError, OverflowError):
            _tell_damaged(file)
            return None
        return record

    def read_done(self, job: str) -> Record:
        """Record of a job that must be done.

        Raises
        ------
        SparseError
            If it is not.
        """
        record = self.read(job)
        if record is None:
            raise SparseError(f"{job} must be done first")
        return record

    def measured(
        self,
        kind: str,
        key: str,
        run: str,
        measure: Callable[[], Any],
        read: Callable[[Any], _Value],
    ) -> _Value:
        """What was measured of a job's result; measured once for each run of it.

        Parameters
        ----------
        kind
            Folder of such measurements.
        key
            Key of the job.
        run
            ID of its run.
        measure
            Measures it, as JSON.
        read
            Makes the result of that JSON.
        """
        file = self.path / kind / f"{key}.json"
        try:
            content = load_json(file)
            if content["run"] == run:
                return read(content[kind])
        except (OSError, ValueError, LookupError, TypeError, AttributeError):
            logger.debug("%s is not there or damaged: measured anew", file)
        value = measure()
        file.parent.mkdir(exist_ok=True)
        write_json(file, {"run": run, kind: value})
        return read(value)

    def write(self, job: str, record: Record) -> None:
        """Keep a record."""
        file = self.record(job)
        file.parent.mkdir(parents=True, exist_ok=True)
        write_json(file, {"version": VERSION, **vars(record)})
