"""The process that serves the jobs of a run, and after a fork does one of them."""

import argparse
import socket
import traceback
from collections.abc import Mapping
from pathlib import Path
from typing import NoReturn

from nnunet_sparse.grid.job_server import JobRequest, JobServer
from nnunet_sparse.system.process_end import end_process


def main() -> NoReturn:
    """Serve, or do a job."""
    parser = argparse.ArgumentParser()
    for name in ("listener", "parent", "threads"):
        parser.add_argument(name, type=int)
    parser.add_argument("file", type=Path)
    args = parser.parse_args()

    def prepare() -> Mapping[str, str]:
        from nnunet_sparse.grid.job_imports import import_for_jobs

        return import_for_jobs(args.file, args.threads)

    listener = socket.socket(fileno=args.listener)
    listener.set_inheritable(False)
    request = JobServer(listener, args.parent, prepare).serve()
    end_process(0 if request is None else _done(request))


def _done(request: JobRequest) -> int:
    """Do a job; returns the exit status that Python would have."""
    from nnunet_sparse.grid.grid_command import main as grid_command

    try:
        return grid_command(request.arguments)
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:
        traceback.print_exc()
        return 1


if __name__ == "__main__":
    main()
