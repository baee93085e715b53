"""What a check found: a verdict, a number, and what to do about it."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

Verdict = Literal["ok", "warning", "broken"]


@dataclass(frozen=True)
class Finding:
    """Result of one check.

    Attributes
    ----------
    check
        Name of the check.
    verdict
        ``broken``: the training learns something wrong, or nothing. ``warning``: it may be meant
        like this, but costs quality or comparability.
    number
        What was measured: a count is an int, a share a float.
    found
        What was found, in one line.
    advice
        What to do; empty if nothing.
    stock
        The same number for ``nnUNetTrainer``, or for nnU-Net's own preprocessing.
    configuration
        Configuration of the plans, or None where the check is about the raw data.
    details
        Further numbers, for machines.
    unit
        Of a number that is neither a count nor a share: ``SD`` for standard deviations.
    """

    check: str
    verdict: Verdict
    number: float
    found: str
    advice: str = ""
    stock: float | None = None
    configuration: str | None = None
    details: Mapping[str, Any] = field(default_factory=dict)
    unit: str = ""


@dataclass(frozen=True)
class Skipped:
    """A check that could not be made.

    Attributes
    ----------
    check
        Its name.
    reason
        What is missing, and how to get it.
    configuration
        As in :class:`Finding`.
    """

    check: str
    reason: str
    configuration: str | None = None


@dataclass(frozen=True)
class Diagnosis:
    """Everything that was found in a data set.

    Attributes
    ----------
    dataset
        Its full name.
    plans
        Name of the plans, or None if there are none.
    trainer
        Trainer whose batches were drawn.
    findings, skipped
        In the order of the checks.
    pictures
        Files that were drawn.
    """

    dataset: str
    plans: str | None
    trainer: str
    findings: Sequence[Finding]
    skipped: Sequence[Skipped]
    pictures: Sequence[str] = ()

    @property
    def verdict(self) -> Verdict:
        """The worst verdict of all findings."""
        verdicts = {finding.verdict for finding in self.findings}
        order: tuple[Verdict, ...] = ("broken", "warning")
        return next((verdict for verdict in order if verdict in verdicts), "ok")

    def to_json(self) -> dict[str, Any]:
        """Content of the JSON document; numbers that are not finite are null."""
        content = {
            "version": 1,
            "verdict": self.verdict,
            "dataset": self.dataset,
            "plans": self.plans,
            "trainer": self.trainer,
            "findings": [asdict(finding) for finding in self.findings],
            "skipped": [asdict(skipped) for skipped in self.skipped],
            "pictures": list(self.pictures),
        }
        return {key: _finite(value) for key, value in content.items()}


def _finite(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _finite(v) for key, v in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(v) for v in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
