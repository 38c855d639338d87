"""A cohort package as its submitter declares it (contract: Cohort package)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

from issuance.errors import Refused, unknown_cohort
from issuance.intake.columns import CODES
from issuance.ledger.checks import CHECKS
from issuance.ledger.connection import Connection
from issuance.words.regions import known_regions

FIELDS = ("cohort", "city", "category", "opens", "declared", "amends")
"""Of a manifest; the names of files and the folder of photos stand beside them."""


@dataclass(frozen=True)
class Package:
    """The submitter's declaration about the files."""

    cohort_id: str
    city: str
    category: str
    opens_on: date
    declared: int
    amends: bool = False

    def manifest(self) -> dict[str, Any]:
        """The fields that, with the files, identify the package."""
        return {**self.__dict__, "opens_on": self.opens_on.isoformat()}


def package_of(connection: Connection, given: Mapping[str, Any]) -> Package:
    """The package of a manifest's fields; a correction repeats neither city nor category nor opening day.

    Raises:
        Refused: a field is missing, unknown or invalid, the cohort ID is reserved, or there is nothing to correct.
    """
    given = {name: _as_text(name, value) for name, value in given.items()}
    if unknown := sorted(set(given) - set(FIELDS)):
        raise Refused(
            "MANIFEST_INVALID",
            f"清单字段为 {', '.join(FIELDS)}；未知：{', '.join(unknown)}。"
            f" / the fields of a manifest are {', '.join(FIELDS)}; unknown: {', '.join(unknown)}.",
            unknown=unknown,
        )
    fields = {name: given.get(name) for name in FIELDS}
    if fields["amends"] and fields["cohort"]:
        fields |= _standing_fields(connection, str(fields["cohort"]))
    if missing := [name for name in FIELDS if fields[name] is None and name != "amends"]:
        raise Refused(
            "FIELDS_MISSING", f"缺少：{', '.join(missing)}。 / missing: {', '.join(missing)}.", missing=missing
        )
    _refuse_reserved(str(fields["cohort"]))
    return _package(fields)


def _as_text(name: str, value: Any) -> Any:
    """YAML reads 110000 and 2025-10-09 as a number and a day: both are meant as texts."""
    return str(value) if name in ("cohort", "city") and type(value) is int else value


def _standing_fields(connection: Connection, cohort_id: str) -> dict[str, Any]:
    """What a correction does not repeat."""
    row = connection.execute(
        "SELECT city, category, opens_on FROM cohort WHERE cohort_id = %s", (cohort_id,)
    ).fetchone()
    if row is None:
        raise unknown_cohort(cohort_id)
    return dict(zip(("city", "category", "opens"), row, strict=True))


def _refuse_reserved(cohort_id: str) -> None:
    if cohort_id.startswith(CHECKS):
        raise Refused(
            "COHORT_ID_RESERVED",
            f"以 {CHECKS} 开头的批次编号留给一致性检查：请另取编号。"
            f" / cohort IDs that begin with {CHECKS} are reserved for conformance checks: choose another.",
        )


def _package(fields: dict[str, Any]) -> Package:
    wrong = [name for name in ("cohort", "city", "category") if not isinstance(fields[name], str)]
    if str(fields["category"]) not in CODES["category"] and "category" not in wrong:
        wrong.append("category")
    opens, declared = fields["opens"], str(fields["declared"])
    try:
        opens = opens if isinstance(opens, date) else date.fromisoformat(str(opens))
    except ValueError:
        wrong.append("opens")
    if not declared.isdecimal() or not 0 < int(declared) < 2**31:
        wrong.append("declared")
    if "city" not in wrong and fields["city"] not in known_regions():
        wrong.append("city")
    if fields["amends"] not in (None, False, True):
        wrong.append("amends")
    if wrong:
        raise Refused(
            "FIELDS_INVALID",
            f"字段值无效：{', '.join(wrong)}（opens 形如 2025-10-09，declared 为正整数，city 为 6 位区划代码，"
            f"category 为 {'、'.join(CODES['category'])}）。 / invalid values: {', '.join(wrong)}"
            " (opens as 2025-10-09, declared a positive number, city a code of GB/T 2260).",
            fields=wrong,
        )
    return Package(
        str(fields["cohort"]), str(fields["city"]), fields["category"], opens, int(declared), bool(fields["amends"])
    )
