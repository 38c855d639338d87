"""`issuance partner check`: our side played against a partner's real client, for people and build servers."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import click

from issuance.client.session import desk
from issuance.commands.output import emit
from issuance.commands.values import AS_JSON
from issuance.errors import Refused, Unavailable

SIGNS = {"passed": "通过 / passed", "failed": "不符 / FAILED", "not shown": "未现 / not shown"}


@click.command()
@click.argument("partner_id")
@click.option("--patience", default=60.0, show_default=True, help="Seconds to wait for each answer of the client.")
@click.option("--case", "only", multiple=True, help="Only this case; repeatable.")
@click.option("--with", "also", multiple=True, help="Another partner that the same client plays; repeatable.")
@click.option(
    "--box", type=click.Path(file_okay=False, path_type=Path), help="Folder for what is delivered by hand: box/PARTNER."
)
@click.option("--junit", "junit_file", type=click.Path(dir_okay=False, path_type=Path), help="Write JUnit XML here.")
@click.option("--on-this-ledger", is_flag=True, help="Allow a ledger that is not on the desk's machine.")
@AS_JSON
def check(
    partner_id: str,
    patience: float,
    only: tuple[str, ...],
    also: tuple[str, ...],
    box: Path | None,
    junit_file: Path | None,
    on_this_ledger: bool,
    as_json: bool,
) -> None:
    """一致性检查。 Check a partner's real client against the contract, case by case; exit code 1 on findings."""
    options = {"patience": patience, "also": also, "only": only, "on_this_ledger": on_this_ledger}
    with desk().lines(f"partners/{partner_id}/check", options) as lines:
        report = _follow(lines, box or Path("box") / partner_id, as_json)
    if as_json:
        emit(report, True)
    else:
        click.echo(summary(report))
    if junit_file:
        junit_file.write_bytes(junit(report))
    sys.exit(0 if report["passed"] else 1)


def _follow(lines: Iterator[str], box: Path, as_json: bool) -> dict[str, Any]:
    """Lay slips into the box and show cases as they come; returns the report.

    Raises:
        Refused: the check was refused, or ended early.
    """
    for line in lines:
        told = json.loads(line)
        if "slip" in told:
            lay_slip(box, told["slip"], told["content"])
        elif "case" in told and not as_json:
            click.echo("\n".join(case_lines(told["case"])))
        elif "problem" in told:
            error = Unavailable if told["status"] == 503 else Refused
            raise error(told["problem"]["error"], told["problem"]["message"], **told["problem"]["details"])
        elif "checked" in told:
            report: dict[str, Any] = told["checked"]
            return report
    raise Unavailable("DESK_UNAVAILABLE", "检查中断。 / the check broke off.")


def lay_slip(box: Path, name: str, content: Mapping[str, Any]) -> None:
    """Write a slip into the box, atomically."""
    box.mkdir(parents=True, exist_ok=True)
    draft = box / f".{name}.draft"
    draft.write_text(json.dumps(content, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
    draft.replace(box / f"{name}.json")


def case_lines(case: Mapping[str, Any]) -> Iterator[str]:
    """A case as lines of text: its outcome, and under it the contract's sentence and every finding."""
    yield f"{SIGNS[case['outcome']]:<20} {case['name']:<18} {case['zh']}"
    if case["outcome"] == "not shown":
        yield f"    {case['why']}"
    if case["findings"]:
        yield f"    {case['contract']}"
    yield from (f"    {finding['code']}: {finding['text']}" for finding in case["findings"])


def summary(report: Mapping[str, Any]) -> str:
    """The last line of the text."""
    counts = {sign: sum(case["outcome"] == sign for case in report["cases"]) for sign in SIGNS}
    told = ", ".join(f"{SIGNS[sign]} {count}" for sign, count in counts.items())
    return f"{told} · {report['cohort_id']}"


def junit(report: Mapping[str, Any]) -> bytes:
    """The JUnit form (schema of Ant's junit task, as build servers read it): one suite, one test a case."""
    cases, name = report["cases"], f"issuance.{report['partner']}"
    outcomes = [case["outcome"] for case in cases]
    counts = {"tests": len(cases), "failures": outcomes.count("failed"), "skipped": outcomes.count("not shown")}
    seconds = f"{sum(case['seconds'] for case in cases):.1f}"
    values = {"name": name, "time": seconds, "errors": "0"} | {key: str(count) for key, count in counts.items()}
    suite = ElementTree.Element("testsuite", values)
    properties = ElementTree.SubElement(suite, "properties")
    ElementTree.SubElement(properties, "property", name="cohort_id", value=report["cohort_id"])
    for case in cases:
        shown = {"classname": name, "name": case["name"], "time": f"{case['seconds']:.1f}"}
        element = ElementTree.SubElement(suite, "testcase", shown)
        if case["findings"]:
            failure = ElementTree.SubElement(element, "failure", message=case["findings"][0]["code"])
            found = [f"{finding['code']}: {finding['text']}" for finding in case["findings"]]
            failure.text = "\n".join([case["contract"], *found])
        elif case["outcome"] == "not shown":
            ElementTree.SubElement(element, "skipped", message=case["why"] or "")
    return bytes(ElementTree.tostring(suite, encoding="utf-8", xml_declaration=True))
