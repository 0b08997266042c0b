"""What `Model.check` returns: findings, worst first, and a table of them."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

from ..trainer.core.errors import SourceLine
from ..trainer.core.later import LazyModule
from .table import Table

shutil: Any = LazyModule("shutil")

Severity = Literal["error", "warning", "note"]
SEVERITIES: tuple[Severity, ...] = ("error", "warning", "note")
NARROWEST, WIDEST = 80, 120


@dataclass(frozen=True)
class Finding:
    """One thing that a check has to say.

    severity: "error" (it fails, or computes something else than what was meant), "warning" (most likely not as meant),
        "note" (worth knowing)
    rule: a short name of the kind of finding, such as "softmax_before_logits_loss"
    where: path of the layer, weight, input or output; empty for the model as a whole
    message: what is the case
    fix: what to write instead
    source: the user's line that made it, where that is known
    """

    severity: Severity
    rule: str
    where: str
    message: str
    fix: str
    source: SourceLine | None = None

    def __str__(self) -> str:
        place = f"{self.where}: " if self.where else ""
        line = f"\n  {self.source}" if self.source is not None else ""
        return f"{self.severity}: {place}{self.message} {self.fix}{line}"


class CheckReport:
    """Findings of `Model.check`, worst first; printed, they are a table. Empty, and false, when nothing was found.

    >>> import sardonyx as sx
    >>> model = sx.Sequential([sx.Input((4,)), sx.layers.Dense(3, activation="softmax")])
    >>> model.compile("adam", sx.losses.SparseCategoricalCrossentropy(from_logits=True))
    >>> [finding.rule for finding in model.check()]
    ['probabilities_as_logits']
    """

    def __init__(self, title: str, findings: Iterable[Finding]) -> None:
        self.title = title
        unique = dict.fromkeys(findings)
        self.findings = sorted(unique, key=lambda finding: SEVERITIES.index(finding.severity))

    def of(self, severity: Severity) -> list[Finding]:
        """The findings of one severity."""
        return [finding for finding in self.findings if finding.severity == severity]

    def raise_if_errors(self) -> None:
        """Raise `ValueError` with the table when there is a finding of severity "error"."""
        if self.of("error"):
            raise ValueError(str(self))

    def __iter__(self) -> Iterator[Finding]:
        return iter(self.findings)

    def __len__(self) -> int:
        return len(self.findings)

    def __getitem__(self, index: int) -> Finding:
        return self.findings[index]

    def __str__(self) -> str:
        if not self.findings:
            return f"{self.title}: no findings"
        counts = [(len(self.of(severity)), severity) for severity in SEVERITIES]
        parts = [f"{n} {severity}{'s' if n > 1 else ''}" for n, severity in counts if n]
        table = Table(["", "Where", "Finding"])
        for finding in self.findings:
            table.row([finding.severity, finding.where or "model", finding.message])
            table.row(["", "", f"Fix: {finding.fix}"])
            if finding.source is not None:
                table.row(["", "", _line(finding.source)])
        width = min(max(shutil.get_terminal_size((100, 24)).columns, NARROWEST), WIDEST)
        return "\n".join([f"{self.title}: {', '.join(parts)}", *table.lines(width)])

    __repr__ = __str__


def _line(source: SourceLine) -> str:
    """A source line in the width of a table: the file's name, without its folders."""
    return f"{os.path.basename(source.file)}:{source.line}: {source.text}".rstrip(": ")
