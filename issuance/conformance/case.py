"""The kit's cases: a case is a name, the kinds of partner it is for, a sentence of the contract, and one function."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, NamedTuple

if TYPE_CHECKING:
    from issuance.conformance.workbench import Bench

Outcome = Literal["passed", "failed", "not shown"]


class Finding(NamedTuple):
    """What is wrong: a code for programs, a text for people (Chinese / English) with references, no personal data."""

    code: str
    text: str


class NotShown(NamedTuple):
    """Why a case could not be judged: the occasion did not arise, and the client is not obliged to create it."""

    why: str


Verdicts = Iterator[Finding | NotShown]


@dataclass(frozen=True)
class Case:
    """One case. `check` provokes what it needs, waits up to the patience, and yields what it finds."""

    name: str
    kinds: frozenset[str]
    zh: str
    sentence: str
    """The sentence of docs/partners.md that it proves, word by word."""
    check: Callable[[Bench], Verdicts]


class Result(NamedTuple):
    """The result of a case."""

    case: Case
    outcome: Outcome
    findings: list[Finding]
    why: str
    """For a case that was not shown."""
    seconds: float


def judge(case: Case, bench: Bench) -> Result:
    """Run a case: any finding fails it; otherwise anything not shown leaves it undecided."""
    began = bench.elapsed()
    verdicts = list(case.check(bench))
    findings = [verdict for verdict in verdicts if isinstance(verdict, Finding)]
    open_ = [verdict.why for verdict in verdicts if isinstance(verdict, NotShown)]
    outcome: Outcome = "failed" if findings else "not shown" if open_ else "passed"
    return Result(case, outcome, findings, "; ".join(open_), bench.elapsed() - began)
