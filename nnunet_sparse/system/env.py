"""Environment variables that nnU-Net needs to find our trainers and its folders.

``nnsparse_env`` prints shell lines for ``eval "$(nnsparse_env)"``. Folders named by variables that
are already set stay as they are. For those that are not, the lines point to ``nnsparse_data`` in
the working directory and create it: printing alone changes nothing.
"""

import argparse
import os
import shlex
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import nnunet_sparse
from nnunet_sparse.system.command import CommandParser, run_command
from nnunet_sparse.system.options import default_num_processes
from nnunet_sparse.system.paths import DEFAULT_ROOT, NnUNetPaths, export_lines

EXT_TRAINER = "nnUNet_extTrainer"


def ext_trainers_folder() -> Path:
    """Folder in which nnU-Net looks our trainers up."""
    return Path(nnunet_sparse.__file__).resolve().parent / "ext_trainers"


@contextmanager
def environment(variables: Mapping[str, str]) -> Iterator[None]:
    """Set environment variables for a while; nnU-Net reads many of them at each use."""
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def training_environment(paths: NnUNetPaths | None = None) -> dict[str, str]:
    """Variables for every ``nnUNetv2_*`` command that we launch; to be added to the present ones.

    Parameters
    ----------
    paths
        nnU-Net's folders, or None to leave them as they are set.

    Returns
    -------
    dict of str to str
        ``nnUNet_extTrainer`` with our folder, the folders, and values for the number of processes
        and the waiting of threads where the user has not set them.
    """
    defaults = {
        # nnU-Net starts 8 processes for 2 cores, each of which imports torch
        "nnUNet_def_n_proc": str(default_num_processes()),
        # threads that wait actively make a CPU training ten times slower on a busy machine
        "OMP_WAIT_POLICY": "PASSIVE",
    }
    unset = {name: value for name, value in defaults.items() if not os.environ.get(name)}
    return _ext_trainer() | unset | ({} if paths is None else paths.environment())


def _ext_trainer() -> dict[str, str]:
    """The value that is set, and our folder once."""
    ours = str(ext_trainers_folder())
    others = [p for p in os.environ.get(EXT_TRAINER, "").split(os.pathsep) if p and p != ours]
    return {EXT_TRAINER: os.pathsep.join([*others, ours])}


def environment_lines() -> list[str]:
    """Shell lines that set what is needed and not yet set."""
    defaults = NnUNetPaths.below(Path(DEFAULT_ROOT)).environment()
    unset = {name: value for name, value in defaults.items() if not os.environ.get(name)}
    folders = [shlex.join(["mkdir", "-p", *unset.values()])] if unset else []
    return export_lines(_ext_trainer() | unset) + folders


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit status."""
    parser = CommandParser(
        "nnsparse_env",
        "Print the shell lines after which -tr SparseTrainer works in every nnUNetv2_* command. "
        f"Where nnU-Net's three paths are not set, they point to ./{DEFAULT_ROOT}, and the lines "
        "create its folders.",
        'eval "$(nnsparse_env)"',
    )

    def work(_: argparse.Namespace) -> None:
        print("\n".join(environment_lines()))

    return run_command(parser, work, argv)
