"""Re-makes past what a release covers wait for a person."""

from __future__ import annotations

from ledger_fixture import (
    make_cohort,
    on,
    open_breaks,
    tamper,
)

from issuance.breaks.resolve import resolve_break
from issuance.dispatch.remake import plan_remakes
from issuance.ledger.connection import Connection


def break_of(connection: Connection, reference: str) -> str:
    """The break about something."""
    row = connection.execute("SELECT break_id::text FROM break WHERE reference = %s", (reference,)).fetchone()
    assert row
    return str(row[0])


def test_a_resolved_remake_limit_opens_again_when_more_is_wanted(ledger: Connection) -> None:
    refs = make_cohort(ledger, 3)
    tamper(ledger, "UPDATE release SET remakes_allowed = 0")
    wanted = (
        "INSERT INTO plastic (card_ref, attempt, bank, factory) SELECT card_ref, 2, 'ICBC', 'F-ICBC' FROM card"
        " WHERE card_ref = ANY (%s) ON CONFLICT DO NOTHING"
    )
    ledger.execute(wanted, (refs[:1],))
    assert plan_remakes(ledger, on(1)) == 0
    assert open_breaks(ledger) == [("REMAKE_LIMIT", "1.1.1.1")]
    ledger.execute(wanted, (refs[:2],))
    assert plan_remakes(ledger, on(2)) == 0
    assert open_breaks(ledger) == [("REMAKE_LIMIT", "1.1.1.1")], "one at a time"
    (break_id,) = ledger.execute("SELECT break_id::text FROM break").fetchone() or ("",)
    resolve_break(ledger, break_id, "planner", "one is enough", on(2))
    plan_remakes(ledger, on(3))
    assert open_breaks(ledger) == [("REMAKE_LIMIT", "1.1.2.1")]
    resolve_break(ledger, break_of(ledger, "1.1.2.1"), "planner", "a wave of their own", on(3))
    ledger.execute(
        "INSERT INTO wave (cohort_no, wave, planned_by, submitters, planned_on, plastics, forecast)"
        " VALUES (1, 2, 'planner', '{submitter}', %s, 2, '{}')", (on(3),)
    )  # fmt: skip
    plan_remakes(ledger, on(4))
    assert open_breaks(ledger) == [("REMAKE_LIMIT", "1.1.2.2")], "as many again, after a wave was planned"
    assert ledger.execute("SELECT count(*) FROM plastic WHERE job_id IS NULL").fetchone() == (2,)
