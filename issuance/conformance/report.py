"""The result of a check, for people (Chinese / English), for programs (JSON) and for build servers (JUnit)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any
from xml.etree import ElementTree

from issuance.conformance.case import Result
from issuance.conformance.cohort import Check

SIGNS = {"passed": "通过 / passed", "failed": "不符 / FAILED", "not shown": "未现 / not shown"}


def lines(result: Result) -> Iterator[str]:
    """A case as lines of text: its outcome, and under it the sentence and every finding."""
    yield f"{SIGNS[result.outcome]:<20} {result.case.name:<18} {result.case.zh}"
    if result.outcome == "not shown":
        yield f"    {result.why}"
    if result.findings:
        yield f"    {result.case.sentence}"
    yield from (f"    {finding.code}: {finding.text}" for finding in result.findings)


def summary(check: Check, results: Sequence[Result]) -> str:
    """The last line of the text."""
    counts = {sign: sum(result.outcome == sign for result in results) for sign in SIGNS}
    told = ", ".join(f"{SIGNS[sign]} {count}" for sign, count in counts.items())
    return f"{told} · {check.cohort_id}"


def as_dict(check: Check, partner: str, results: Sequence[Result]) -> dict[str, Any]:
    """The JSON form."""
    return {
        "partner": partner,
        "cohort_id": check.cohort_id,
        "passed": not any(result.findings for result in results),
        "cases": [_case(result) for result in results],
    }


def _case(result: Result) -> dict[str, Any]:
    return {
        "name": result.case.name,
        "outcome": result.outcome,
        "zh": result.case.zh,
        "contract": result.case.sentence,
        "findings": [finding._asdict() for finding in result.findings],
        "why": result.why or None,
        "seconds": round(result.seconds, 1),
    }


def junit(check: Check, partner: str, results: Sequence[Result]) -> bytes:
    """The JUnit form (schema of Ant's junit task, as build servers read it): one suite, one test a case."""
    counts: dict[str, object] = {"tests": len(results), "failures": sum(r.outcome == "failed" for r in results),
              "skipped": sum(r.outcome == "not shown" for r in results), "errors": 0}  # fmt: skip
    seconds = f"{sum(result.seconds for result in results):.1f}"
    values = {"name": f"issuance.{partner}", "time": seconds} | {name: str(count) for name, count in counts.items()}
    suite = ElementTree.Element("testsuite", values)
    properties = ElementTree.SubElement(suite, "properties")
    ElementTree.SubElement(properties, "property", name="cohort_id", value=check.cohort_id)
    for result in results:
        case = ElementTree.SubElement(
            suite, "testcase", classname=f"issuance.{partner}", name=result.case.name, time=f"{result.seconds:.1f}"
        )
        if result.findings:
            failure = ElementTree.SubElement(case, "failure", message=result.findings[0].code)
            failure.text = "\n".join([result.case.sentence, *(f"{f.code}: {f.text}" for f in result.findings)])
        elif result.outcome == "not shown":
            ElementTree.SubElement(case, "skipped", message=result.why)
    return bytes(ElementTree.tostring(suite, encoding="utf-8", xml_declaration=True))
