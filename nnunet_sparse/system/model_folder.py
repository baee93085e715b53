"""A folder that holds one trained network.

``checkpoint.pth`` is the network, ``training.json`` says what it was trained on, and
``checkpoint_latest.pth`` is the state of a training that runs or was killed. One process at a time
works in the folder. A network that was trained is replaced only where that is asked for.
"""

import contextlib
import hashlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nnunet_sparse.system.atomic import (
    as_json,
    atomic_path,
    canonical_json,
    remove_leftovers,
)
from nnunet_sparse.system.checkpoint import load_checkpoint, saving_checkpoint
from nnunet_sparse.system.errors import SparseError
from nnunet_sparse.system.json_files import read_json
from nnunet_sparse.system.locks import held_if_free, locked


@dataclass(frozen=True)
class ModelFolder:
    """Where a network is kept.

    Attributes
    ----------
    path
        The folder.
    command
        Command line that trains it, for messages.
    """

    path: Path
    command: str

    @property
    def checkpoint(self) -> Path:
        """The trained network."""
        return self.path / "checkpoint.pth"

    @property
    def latest(self) -> Path:
        """State of an unfinished training."""
        return self.path / "checkpoint_latest.pth"

    @property
    def record_file(self) -> Path:
        """What the network was trained on."""
        return self.path / "training.json"

    def read_record(self) -> dict[str, Any]:
        """What the network was trained on."""
        content = read_json(self.record_file)
        if not isinstance(content, dict):
            raise SparseError(
                f"{self.record_file} is missing or damaged: {self.command} --overwrite trains it "
                "again"
            )
        return content

    def digest(self, what: str) -> str:
        """Hash of the trained network.

        Raises
        ------
        SparseError
            If there is none; ``what`` names it.
        """
        if not self.checkpoint.is_file():
            raise SparseError(f"no {what} in {self.path}: {self.command}")
        return hashlib.sha256(self.checkpoint.read_bytes()).hexdigest()[:16]

    @contextmanager
    def training(self, record: Mapping[str, Any], overwrite: bool) -> Iterator[bool]:
        """Hold the folder for a training; the value tells whether there is anything to do.

        Parameters
        ----------
        record
            What the network is to be trained on.
        overwrite
            Train again what is there.

        Raises
        ------
        SparseError
            If a network is there that was trained on something else.
        """
        before = self._time()
        if before is not None and not overwrite:
            self._check(record)
            self.tidy()
            yield False
            return
        self.path.mkdir(parents=True, exist_ok=True)
        with _removed_if_empty(self.path), self.lock():
            remove_leftovers(self.path)
            if self._time() != before:  # by the process that was waited for
                self._check(record)
                yield False
                return
            yield True

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Keep other processes from working in the folder."""
        waiting = f"Another process is working in {self.path}, waiting for it"
        with locked(self._lock, waiting):
            yield

    @property
    def _lock(self) -> Path:
        return self.path / ".lock"

    def tidy(self) -> None:
        """Remove what a process has left that was killed when its work was done.

        Nothing is done while another process works in the folder, or where nothing was left.
        """
        leftovers = (self._lock, self.latest, *self.path.glob(".nnsparse_*"))
        if not any(path.exists() for path in leftovers):
            return
        with held_if_free(self._lock) as held:
            if held:
                remove_leftovers(self.path)
                if self.checkpoint.is_file():
                    # a folder that is only read is used as it is
                    with suppress(OSError):
                        self.latest.unlink(missing_ok=True)

    def finish(self, content: Mapping[str, Any], record: Mapping[str, Any]) -> None:
        """Write the trained network and its record; the training is done then."""
        with (
            saving_checkpoint(content, self.checkpoint),
            atomic_path(self.record_file) as fresh,
        ):
            fresh.write_text(canonical_json(record), encoding="utf-8")
            # never the old network with the new record; what needs space has been written
            self.checkpoint.unlink(missing_ok=True)
        self.latest.unlink(missing_ok=True)

    def load(self) -> dict[str, Any]:
        """Content of the checkpoint, on the CPU."""
        try:
            content: dict[str, Any] = load_checkpoint(self.checkpoint)
        except SparseError as error:
            raise self.damaged() from error
        return content

    def damaged(self) -> SparseError:
        """What to say of a checkpoint that holds no network, or another one."""
        return SparseError(
            f"{self.checkpoint} is damaged: {self.command} --overwrite trains it again"
        )

    def _time(self) -> int | None:
        return self.checkpoint.stat().st_mtime_ns if self.checkpoint.is_file() else None

    def _check(self, record: Mapping[str, Any]) -> None:
        """Refuse a network that was trained on something else than it would be now."""
        found = self.read_record()
        different = [key for key in record if found.get(key) != as_json(record[key])]
        if different:
            raise SparseError(
                f"{self.path} holds a network that was trained with other {', '.join(different)}: "
                f"{self.command} --overwrite trains it again"
            )


@contextmanager
def _removed_if_empty(folder: Path) -> Iterator[None]:
    """Remove the folder if nothing is in it when the work ends."""
    try:
        yield
    finally:
        with contextlib.suppress(OSError):
            folder.rmdir()
