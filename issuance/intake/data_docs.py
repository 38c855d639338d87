"""Data Docs of a submission: what each rule found, as static pages on S3, made by Great Expectations' own renderer.

Built after the decision from the counts that validation left in the ledger, so no value of a row can be in them. The
renderer's pages fetch styles, scripts and a picture from other hosts; those are taken out (docs/adr/0010).
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from importlib import import_module
from typing import Any

from issuance.city.policy import Policy
from issuance.intake.imports import prepare_great_expectations
from issuance.intake.rules import ROW_RULES, severity_in
from issuance.intake.session import Intake
from issuance.intake.set_rules import SET_RULES
from issuance.ledger.connection import business_day, transaction
from issuance.settings import Settings
from issuance.vault.objects import ObjectStore

LINK_SECONDS = 7 * 24 * 3600
"""How long a link works without a login; S3 signs for a week at most."""

# scripts, styles and pictures from other hosts, the newsletter, and what only works beside the rest of a GX site
FOREIGN = re.compile(
    r"<script\b.*?</script>|<link\b[^>]*>|<img\b[^>]*>|<footer\b.*?</footer>"
    r"|<a\b[^>]*href=\"(?:https?:|\.\./)[^\"]*\"[^>]*>|<!--.*?-->|https?://[^\s\"'<>)]+",
    re.DOTALL,
)
STYLE = (
    "<style>body{font:15px/1.5 sans-serif;max-width:70em;margin:2em auto;padding:0 1em}table{border-collapse:collapse}"
    "td,th{border:1px solid #ccc;padding:.3em .7em;text-align:left;vertical-align:top}.collapse{display:block}"
    "button,nav,.modal{display:none}</style></head>"
)


@dataclass(frozen=True)
class Found:
    """What one page tells: rows judged, and rows that failed by rule."""

    rows: int
    failed: Mapping[str, int]


def docs_key(cohort_id: str, submission: int, page: str = "index.html") -> str:
    """The object key of a page."""
    return f"data-docs/{cohort_id}/{submission}/{page}"


def docs_link(settings: Settings, cohort_id: str, submission: int) -> str:
    """A link to a submission's first page, valid for a week."""
    return ObjectStore.of(settings).link(docs_key(cohort_id, submission), LINK_SECONDS)


def with_links(settings: Settings, cohort: dict[str, Any]) -> dict[str, Any]:
    """`cohort show` with a link beside each submission that is decided."""
    for entry in cohort["submissions"]:
        if entry["state"] != "registered":
            entry["data_docs"] = docs_link(settings, cohort["cohort_id"], entry["submission"])
    return cohort


def publish_data_docs(intake: Intake) -> str:
    """Render and store the pages of a decided submission: one overall and one per part. Idempotent.

    Returns the object key of the first page.
    """
    store, name = ObjectStore.of(intake.settings), f"{intake.cohort_id}.{intake.submission}"
    with transaction(intake.settings.database_url) as connection:
        day = business_day(connection)
        parts = connection.execute(
            "SELECT part, validation -> 'rules' FROM part WHERE (cohort_no, submission) = (%s, %s) ORDER BY part",
            intake.key,
        ).fetchall()
        decided = connection.execute(
            "SELECT reason, count(*) FROM row_outcome, unnest(reasons) AS reason"
            " WHERE (cohort_no, submission) = (%s, %s) AND reason = ANY (%s) GROUP BY 1",
            (*intake.key, [rule.id for rule in SET_RULES]),
        ).fetchall()
    by_part = {part: _found(summary) for part, summary in parts if summary}
    failed = sum((Counter(found.failed) for found in by_part.values()), Counter(dict(decided)))
    whole = Found(sum(found.rows for found in by_part.values()), failed)
    pages = {"index.html": (whole, True), **{f"part-{part:05d}.html": (of, False) for part, of in by_part.items()}}
    for page, (found, all_rules) in pages.items():
        html = render_page(found, intake.city.policy, day, f"{name} {page.removesuffix('.html')}", all_rules)
        store.put(docs_key(intake.cohort_id, intake.submission, page), html.encode(), "text/html; charset=utf-8")
    return docs_key(intake.cohort_id, intake.submission)


def _found(summary: Mapping[str, Any]) -> Found:
    return Found(int(summary["rows"]), {**summary["errors"], **summary["warnings"]})


def render_page(found: Found, policy: Policy, day: date, name: str, all_rules: bool) -> str:
    """One page of static HTML without references to other hosts."""
    prepare_great_expectations()
    renderer: Any = import_module("great_expectations.render.renderer")  # not typed
    view: Any = import_module("great_expectations.render.view")
    document = renderer.ValidationResultsPageRenderer().render(_suite_result(found, policy, day, name, all_rules))
    html: str = view.DefaultJinjaPageView().render(document)
    return FOREIGN.sub("", html).replace("</head>", STYLE, 1)


def _suite_result(found: Found, policy: Policy, day: date, name: str, all_rules: bool) -> Any:
    """The counts as the result that Great Expectations renders."""
    from great_expectations import __version__
    from great_expectations.core import ExpectationSuiteValidationResult

    results = list(_results(found, policy, all_rules))
    passed = sum(bool(result.success) for result in results)
    statistics = {
        "evaluated_expectations": len(results), "successful_expectations": passed,
        "unsuccessful_expectations": len(results) - passed, "success_percent": 100 * passed / len(results),
    }  # fmt: skip
    asset = {"datasource_name": "cohort", "data_connector_name": "parts", "data_asset_name": name,
             "batch_identifiers": {}}  # fmt: skip
    meta = {
        "great_expectations_version": __version__, "active_batch_definition": asset, "batch_spec": {},
        "run_id": {"run_name": name, "run_time": f"{day}T00:00:00+08:00"},
    }  # fmt: skip
    return ExpectationSuiteValidationResult(
        success=passed == len(results), results=results, suite_name="cohort_rows", statistics=statistics, meta=meta
    )


def _results(found: Found, policy: Policy, all_rules: bool) -> Iterator[Any]:
    """The result of every rule, failed rules first."""
    from great_expectations.core import ExpectationValidationResult

    from issuance.intake.expectations import described_expectation

    rules = [*ROW_RULES, *(SET_RULES if all_rules else ())]
    for rule in sorted(rules, key=lambda rule: -found.failed.get(rule.id, 0)):
        failed = found.failed.get(rule.id, 0)
        percent = 100 * failed / found.rows if found.rows else 0.0
        yield ExpectationValidationResult(
            success=not failed,
            expectation_config=described_expectation(rule, severity_in(rule, policy)).configuration,
            result={"element_count": found.rows, "unexpected_count": failed, "unexpected_percent": percent},
            exception_info={"raised_exception": False, "exception_message": None, "exception_traceback": None},
        )
