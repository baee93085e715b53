"""What a run does when it is told to end.

On SIGTERM Snakemake starts no more jobs and waits, silently, for those that run, which may be
hours. Here it is told at once, and a second signal ends them. After Ctrl-C jobs are ended as well
where a terminal has not done so. They go on from their last checkpoint in the next run.
"""

import _thread
import contextlib
import logging
import os
import signal
import threading
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Self

from nnunet_sparse.system.command import EXIT_INTERRUPTED

if TYPE_CHECKING:
    import psutil

logger = logging.getLogger(__name__)

# as shells call a program that the signal has ended
EXIT_TERMINATED = 128 + signal.SIGTERM
ENDED_BY_SIGNAL = {EXIT_TERMINATED, EXIT_INTERRUPTED}
_STATUS: dict[int, int] = {signal.SIGTERM: EXIT_TERMINATED, signal.SIGINT: EXIT_INTERRUPTED}
_SECONDS_TO_END = 5.0


class Termination:
    """Listens to signals while Snakemake, which has handlers of its own, keeps the main thread.

    Parameters
    ----------
    on_cluster
        Whether jobs are not processes of this machine.

    Attributes
    ----------
    status
        Exit status of a run that the first signal has ended, SIGTERM or Ctrl-C; 0 if none has come.
    """

    def __init__(self, on_cluster: bool = False) -> None:
        self.status = 0
        self._on_cluster = on_cluster
        self._reader, self._writer = os.pipe()
        os.set_blocking(self._writer, False)
        self._listener = threading.Thread(target=self._listen, daemon=True)
        self._before = -1

    def __enter__(self) -> Self:
        self._before = signal.set_wakeup_fd(self._writer, warn_on_full_buffer=False)
        self._listener.start()
        return self

    def __exit__(self, *_: object) -> None:
        signal.set_wakeup_fd(self._before)
        os.close(self._writer)  # ends the listener
        self._listener.join()
        os.close(self._reader)

    def _listen(self) -> None:
        while numbers := os.read(self._reader, 1):
            is_first, wanted = not self.status, _STATUS.get(numbers[0], 0)
            self.status = self.status or wanted
            if numbers[0] == signal.SIGTERM and is_first:
                logger.info(
                    "told to end: jobs that run are waited for, no others are started; a second "
                    "SIGTERM ends them (kill %d)",
                    os.getpid(),
                )
            elif numbers[0] == signal.SIGTERM or (
                numbers[0] == signal.SIGINT and not self._on_cluster
            ):
                logger.info("ending the jobs that run; the next run goes on where they were")
                if self._on_cluster:
                    _thread.interrupt_main()  # which lets Snakemake cancel them
                else:
                    _end_descendants()


def _end_descendants() -> None:
    """End all processes that this one has started, and those that they have."""
    import psutil

    me, found = psutil.Process(), set[psutil.Process]()
    while new := set(me.children(recursive=True)) - found:
        found |= new
        _for_each(new, psutil.Process.suspend)  # so that it starts no others meanwhile
    _for_each(found, psutil.Process.terminate)
    _for_each(found, psutil.Process.resume)
    _, left = psutil.wait_procs(found, timeout=_SECONDS_TO_END)
    _for_each(left, psutil.Process.kill)


def _for_each(
    processes: "Iterable[psutil.Process]", act: "Callable[[psutil.Process], None]"
) -> None:
    import psutil

    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            act(process)
