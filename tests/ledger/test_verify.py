"""`ledger verify`: every number that the ledger keeps is held against a count; falsified, it is named, and only it."""

from __future__ import annotations

from datetime import timedelta

import pytest
from ledger_fixture import CITIES, OPENS, decide_all, drop_temporary, item, merge, report
from life_fixture import live
from psycopg.types.json import Jsonb

from issuance.ledger.connection import Connection, set_business_day
from issuance.proof.numbers import PROOFS
from issuance.proof.rebuild import rebuild_ledger
from issuance.proof.verify import verify_ledger
from issuance.reconcile.daily_measures import measure_day
from issuance.reconcile.daily_report import figures_of

DAY = OPENS + timedelta(days=60)


def a_whole_life(connection: Connection) -> None:
    """A cohort that has come to its end, with a break, a refused item and the day's report."""
    refs = live(connection)
    merge(
        connection,
        report("HRSS-BJ", "9", [item("OLD_CARD_USED", refs[0], 9)]),
        report("F-ICBC", "10", [item("MADE", refs[0], 9, attempt=7), item("SPOILED", refs[1], 3, reason="OTHER")]),
    )
    set_business_day(connection, DAY)
    decide_all(connection)
    figures = figures_of(measure_day(connection, CITIES, DAY, now_too=True))
    drop_temporary(connection)
    (reports, events) = connection.execute(
        "SELECT max(report_no), (SELECT max(event_no) FROM break_event) FROM report"
    ).fetchone() or (0, 0)
    connection.execute(
        "INSERT INTO daily_report VALUES (%s, %s, 'c', '', 'p', '', %s)",
        (DAY, DAY, Jsonb(figures | {"through_report": reports, "through_event": events})),
    )


FALSIFIED: dict[str, str] = {
    # proof: what makes the kept number wrong
    "tally": "UPDATE tally SET cards = cards + 1 WHERE cards > 0",
    "total of statement": "UPDATE statement SET total = total + 1 WHERE function = 'ss'",
    "share of cohort": "UPDATE statement SET cohorts = '{\"1\": 3}' WHERE function = 'ss'",
    "chunks of statement": "UPDATE statement_chunk SET chunks = 2 WHERE function = 'ss'",
    "last attempt of card": "UPDATE card SET last_attempt = 2 WHERE position = 0",
    "cards of job": "UPDATE job SET card_count = card_count - 1",
    "hash total of job": "UPDATE job SET hash_total = 'another'",
    "rows of part": "UPDATE part SET rows = rows + 1",
    "refused items of report": "INSERT INTO refused_item SELECT partner, report_id, 0, 'NO_RELATION', '2025-10-09'"
    " FROM report WHERE report_id = '8'",
    "items of report": "UPDATE report SET items = items + 1 WHERE report_id = '8'",
    "state of break": "UPDATE break SET closed_on = opened_on, closed_by = 'evidence' WHERE kind = 'OLD_CARD_USED'",
    "closing day of cohort": "UPDATE cohort SET closed_on = '2025-12-01'",
    "figures of daily report": "UPDATE daily_report SET figures = figures || '{\"milestone\": 1}'",
}


@pytest.mark.parametrize("name", FALSIFIED)
def test_a_falsified_number_is_named_and_only_it(ledger: Connection, name: str) -> None:
    a_whole_life(ledger)
    assert verify_ledger(ledger, CITIES) == []
    ledger.execute(FALSIFIED[name])
    findings = verify_ledger(ledger, CITIES)
    assert len(findings) == 1, findings
    assert findings[0].startswith(f"{name} ")
    assert ", counted " in findings[0]


def test_every_proof_is_falsified_here() -> None:
    assert set(FALSIFIED) == set(PROOFS)


def test_a_rebuilt_ledger_is_the_same(ledger: Connection) -> None:
    a_whole_life(ledger)
    before = ledger.execute("SELECT kind, reference, expected, actual, closed_on FROM break ORDER BY 1, 2").fetchall()
    assert rebuild_ledger(ledger) == 0
    decide_all(ledger)
    assert ledger.execute(
        "SELECT kind, reference, expected, actual, closed_on FROM break ORDER BY 1, 2"
    ).fetchall() == before  # fmt: skip
    assert verify_ledger(ledger, CITIES) == []
