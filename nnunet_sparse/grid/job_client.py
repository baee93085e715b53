"""Asks the process that jobs share to do one, and stands for that job until it has ended.

Snakemake starts this file by its path, for each job: it imports nothing but the standard library,
and of that little. Signals that it gets are passed on, and it ends as the job has ended. Where
nobody answers, it becomes the process in which the job is done.
"""

import json
import os
import signal
import socket
import struct
import sys
from types import FrameType
from typing import NoReturn

STATUS = struct.Struct("i")
"""What the server answers at the end: a status as ``os.waitpid`` returns it."""
LENGTH = struct.Struct("I")
"""Length of a request in bytes, which comes before it."""

MODULE = "nnunet_sparse.grid.grid_command"
"""What does a job in a process of its own."""

_PASSED_ON = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)


def main() -> NoReturn:
    """Have the job done: ``job_client.py ADDRESS step GRID STEP KEY ...``."""
    address, *arguments = sys.argv[1:]
    got: list[int] = []
    ended = _ask(address, arguments, got)
    if ended is None and not got:
        os.execv(sys.executable, [sys.executable, "-m", MODULE, *arguments])
    number = got[-1] if ended is None else os.WTERMSIG(ended) if os.WIFSIGNALED(ended) else 0
    if number:
        if number != signal.SIGKILL:
            signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)
    sys.exit(0 if ended is None else os.waitstatus_to_exitcode(ended))


def _ask(address: str, arguments: list[str], got: list[int]) -> int | None:
    """How the job has ended; None if nobody has done it, or nobody knows.

    Parameters
    ----------
    address
        Abstract socket of the server, without its first byte.
    arguments
        Of ``nnsparse_grid``.
    got
        Signals that come meanwhile are added to it.
    """
    request = {
        "arguments": arguments,
        "folder": os.getcwd(),  # noqa: PTH109 - pathlib takes longer than all the rest
        "environment": dict(os.environ),
        "umask": _umask(),
    }
    content = json.dumps(request).encode()
    with socket.socket(socket.AF_UNIX) as server:
        try:
            server.connect(f"\0{address}")

            def pass_on(number: int, _: FrameType | None) -> None:
                got.append(number)
                server.send(bytes([number]))

            socket.send_fds(server, [LENGTH.pack(len(content))], [0, 1, 2])
            server.sendall(content)
            for number in _PASSED_ON:
                if signal.getsignal(number) is not signal.SIG_IGN:
                    signal.signal(number, pass_on)
            answer = server.recv(STATUS.size)
        except OSError:
            return None
    return STATUS.unpack(answer)[0] if len(answer) == STATUS.size else None


def _umask() -> int:
    mask = os.umask(0o077)
    os.umask(mask)
    return mask


if __name__ == "__main__":
    main()
