"""Record of the completed steps of a preprocessed data set.

nnU-Net's own files do not tell whether they are complete, nor from what they were made. The record
stands beside them in ``nnsparse_steps.json`` and maps the name of a step to a digest of its inputs;
the digest is empty while a step runs, and stays so if it is killed. What labels held that were
preprocessed stands there as well.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from nnunet_sparse.system.atomic import json_digest, write_json
from nnunet_sparse.system.json_files import read_json

FILE = "nnsparse_steps.json"


class StepRecord:
    """Steps of one preprocessed data set; the file is written at each change."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / FILE
        content = read_json(self._file)
        steps = content.items() if isinstance(content, dict) else ()
        self._steps = {step: digest for step, digest in steps if isinstance(digest, str)}

    def names(self, kind: str) -> set[str]:
        """Names of all steps ``KIND/NAME`` that were ever started."""
        prefix = f"{kind}/"
        return {step.removeprefix(prefix) for step in self._steps if step.startswith(prefix)}

    def is_complete(self, step: str, digest: str) -> bool:
        """Whether the step was completed from these inputs."""
        return self._steps.get(step) == digest

    def start(self, step: str) -> None:
        """Note that the step's output is not to be trusted from now on."""
        self._set(step, "")

    def finish(self, step: str, digest: str) -> None:
        """Note that the step was completed."""
        self._set(step, digest)

    def label_digests(self, folder: str) -> dict[str, str]:
        """What the labels held that a folder of preprocessed data was made from, by case ID."""
        prefix = _labels(folder)
        return {s.removeprefix(prefix): d for s, d in self._steps.items() if s.startswith(prefix)}

    def keep_labels(self, folder: str, labels: Mapping[str, str]) -> None:
        """Note what the labels hold that a folder of preprocessed data is made from."""
        prefix = _labels(folder)
        others = {s: digest for s, digest in self._steps.items() if not s.startswith(prefix)}
        self._steps = others | {f"{prefix}{case_id}": digest for case_id, digest in labels.items()}
        write_json(self._file, self._steps)

    def _set(self, step: str, digest: str) -> None:
        self._steps[step] = digest
        write_json(self._file, self._steps)


def _labels(folder: str) -> str:
    return f"labels/{folder}/"


def digest_of(*inputs: Any) -> str:
    """Hash of what a step is made from, given as JSON."""
    return json_digest(list(inputs))
