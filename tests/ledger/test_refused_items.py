"""Items about people instead of references are refused."""

from __future__ import annotations

import pytest
from ledger_fixture import (
    item,
    make_cohort,
    merge,
    report,
)

from issuance.ledger.connection import Connection


@pytest.mark.parametrize(
    ("reference", "code"),
    [("seen", None), ("0123456789012345", None), ("王小明", "FIELD_INVALID"), ("11010519491231002X", "FIELD_INVALID"),
     ("110105491231002", "FIELD_INVALID"), ("13800000000", "FIELD_INVALID")],
)  # fmt: skip
def test_who_took_part_is_a_reference_and_no_person(ledger: Connection, reference: str, code: str | None) -> None:
    (ref,) = make_cohort(ledger, 1)
    taken = item("COLLECTED", ref, 8, place="ICBC-001", actors=[{"role": "PROXY", "reference": reference}])
    refused = merge(ledger, report("ICBC", "c", [taken])).refused[0]
    assert [refusal.code for refusal in refused] == ([code] if code else [])
