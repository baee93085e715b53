"""nnU-Net's three folders, as this project sees them."""

import logging
import os
import shlex
from dataclasses import dataclass
from pathlib import Path

from nnunet_sparse.system.errors import SparseError

logger = logging.getLogger(__name__)

DEFAULT_ROOT = "nnsparse_data"
ENV_NAMES = ("nnUNet_raw", "nnUNet_preprocessed", "nnUNet_results")


@dataclass(frozen=True)
class NnUNetPaths:
    """The folders that ``nnUNet_raw``, ``nnUNet_preprocessed`` and ``nnUNet_results`` name."""

    raw: Path
    preprocessed: Path
    results: Path

    @classmethod
    def below(cls, root: Path) -> "NnUNetPaths":
        """The three folders below one root, named like their variables."""
        return cls(*(root.resolve() / name for name in ENV_NAMES))

    def export(self) -> None:
        """Make nnU-Net, here and in child processes, use these folders."""
        os.environ.update(self.environment())

    def environment(self) -> dict[str, str]:
        """Environment variables that name these folders."""
        folders = (self.raw, self.preprocessed, self.results)
        return {name: str(folder) for name, folder in zip(ENV_NAMES, folders, strict=True)}

    def make_folders(self) -> None:
        """Create the three folders where they are missing."""
        for folder in (self.raw, self.preprocessed, self.results):
            folder.mkdir(parents=True, exist_ok=True)


def configured_paths() -> NnUNetPaths:
    """Folders named by nnU-Net's environment variables.

    Raises
    ------
    SparseError
        If one of the three variables is not set, or ``nnUNet_raw`` is not a folder.
    """
    missing = [name for name in ENV_NAMES if not os.environ.get(name)]
    if missing:
        raise SparseError(
            f"{', '.join(missing)} not set: export nnU-Net's three paths, "
            'or run eval "$(nnsparse_env)" to use the folder nnsparse_data here'
        )
    paths = NnUNetPaths(*(Path(os.environ[name]).absolute() for name in ENV_NAMES))
    if not paths.raw.is_dir():
        raise SparseError(f"nnUNet_raw is {paths.raw}, which is not a folder")
    return paths


def configured_or_default_paths() -> NnUNetPaths:
    """Configured folders or, where none of the three is set, ``./nnsparse_data``.

    The default folders are exported, not created, and the lines that a later shell needs are
    logged.
    """
    if any(os.environ.get(name) for name in ENV_NAMES):
        return configured_paths()
    paths = NnUNetPaths.below(Path(DEFAULT_ROOT))
    paths.export()
    logger.info("nnU-Net's paths are not set, using %s. For later commands:", paths.raw.parent)
    for line in export_lines(paths.environment()):
        logger.info("  %s", line)
    return paths


def export_lines(variables: dict[str, str]) -> list[str]:
    """Shell lines that set variables, safe for any path."""
    return [f"export {name}={shlex.quote(value)}" for name, value in variables.items()]
