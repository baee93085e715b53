"""Who has a volume open: a file beside its label, ``.CASE.nnsparse_open``.

The file names host, process and the start of both, and its date is renewed while the session
lives. A lease is *left behind* if its process on this machine has ended, or if it is of another
machine, or of this one before it was started again, and its date lies more than :data:`STALE_S`
back, by the clock of the file system. Leases are taken one after the other, under a lock that works
on file systems without locks as well (:mod:`nnunet_sparse.system.locks`).
"""

import os
import socket
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from nnunet_sparse.system.atomic import atomic_path, canonical_json
from nnunet_sparse.system.errors import SparseError, naming
from nnunet_sparse.system.json_files import read_json
from nnunet_sparse.system.locks import locked

BEAT_S = 30.0
"""How often a lease is renewed."""

STALE_S = 180.0
"""Age from which a lease counts as left behind whose process cannot be looked for."""

_LOCK = ".nnsparse_leases.lock"


@dataclass(frozen=True)
class Holder:
    """A session that has a volume open.

    Attributes
    ----------
    annotator
        Who works.
    token
        Names the session.
    host
        The machine, and what tells containers on it apart.
    boot
        Names the start of the machine.
    pid, started
        The process, and when it began: numbers of processes come again.
    """

    annotator: str
    token: str
    host: str
    boot: str
    pid: int
    started: str

    @classmethod
    def here(cls, annotator: str, token: str) -> "Holder":
        """A session of this process."""
        pid = os.getpid()
        return cls(annotator, token, _host(), _boot(), pid, _started(pid))

    @property
    def is_on_this_machine(self) -> bool:
        """Whether its process can be looked for."""
        # cloned machines are called the same
        return self.host == _host() and self.boot == _boot()

    @property
    def is_left_behind(self) -> bool:
        """Whether its process was on this machine and has ended."""
        return self.is_on_this_machine and _started(self.pid) != self.started

    @property
    def who(self) -> str:
        """Name for messages."""
        return f"{self.annotator or 'somebody'} ({self.host.partition('/')[0]})"


class Lease:
    """A volume that this session has open.

    Parameters
    ----------
    file
        Its file.
    holder
        This session.
    """

    def __init__(self, file: Path, holder: Holder) -> None:
        self._file, self._holder = file, holder

    def is_ours(self) -> bool:
        """Whether nobody has taken it over, as after this machine has slept."""
        found = _read(self._file)
        return found is not None and found.token == self._holder.token

    def renew(self) -> bool:
        """Say that the session lives; False if somebody has taken the lease over."""
        if not self.is_ours():
            return False
        with naming(self._file):
            os.utime(self._file)
        return True

    def release(self) -> None:
        """Give the volume back."""
        with suppress(OSError):
            if self.is_ours():
                self._file.unlink(missing_ok=True)


def take_lease(folder: Path, case_id: str, holder: Holder) -> Lease | Holder:
    """Take the lease of a case, unless somebody has it.

    Parameters
    ----------
    folder
        Folder of the label.
    case_id
        The case.
    holder
        Who takes it.

    Returns
    -------
    Lease or Holder
        The lease, or who has it.

    Raises
    ------
    OSError
        If the folder cannot be written to.
    """
    file = lease_file(folder, case_id)
    with locked(folder / _LOCK):
        found = _read(file)
        if found is not None and found.token != holder.token and not _is_free(file, found, holder):
            return found
        with atomic_path(file, folder.parent) as temporary:
            temporary.write_text(canonical_json(asdict(holder)), encoding="utf-8")
    return Lease(file, holder)


def lease_file(folder: Path, case_id: str) -> Path:
    """Where it stands who has a case open."""
    return folder / f".{case_id}.nnsparse_open"


def _is_free(file: Path, found: Holder, holder: Holder) -> bool:
    if found.is_left_behind:
        return True
    if found.is_on_this_machine:
        return False
    # the clocks of two machines differ: what is compared are dates of one file system
    probe = file.with_name(f".nnsparse_clock_{holder.token}")
    with naming(probe):
        probe.write_bytes(b"")
        try:
            now = probe.stat().st_mtime
        finally:
            probe.unlink(missing_ok=True)
    with suppress(FileNotFoundError):
        return now - file.stat().st_mtime > STALE_S
    return True


def _read(file: Path) -> Holder | None:
    """Who has a lease; None if there is none, or the file is none of ours."""
    try:
        content = read_json(file)
    except SparseError:
        return None
    if not isinstance(content, Mapping):
        return None
    values: dict[str, Any] = dict(content)
    try:
        return Holder(**values)
    except TypeError:
        return None


def _host() -> str:
    """Name of the machine, and of the space of process numbers in it."""
    try:
        space = Path("/proc/self/ns/pid").readlink()
    except OSError:
        return socket.gethostname()
    return f"{socket.gethostname()}/{space}"


def _boot() -> str:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return ""


def _started(pid: int) -> str:
    """When a process began, in ticks since the machine was started; empty if there is none."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
    # after the name, which may hold spaces and brackets
    fields = text.rpartition(")")[2].split()
    return "" if fields[0] == "Z" else fields[19]
