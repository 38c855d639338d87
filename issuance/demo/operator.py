"""The demo's operator: acts by the public commands, as people would, on what waits for a person in its cohorts."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import NamedTuple

from issuance.airflow.client import Airflow
from issuance.breaks.kinds import BREAK_KINDS
from issuance.demo.people import airflow_of, as_user
from issuance.demo.waiting import PATIENCE, await_condition
from issuance.dispatch.release import wave_state
from issuance.errors import Broken
from issuance.ledger.connection import business_day, transaction
from issuance.settings import Settings
from issuance.words.lifecycle import in_states

SEARCHING = 3
"""Days for which the operator waits for a plastic missing from a hand-over, and for held re-makes to accumulate."""
DESPAIRING = 15
"""Days after which nothing more is expected of a carrier, a factory, or whoever was asked for something."""


class Chore(NamedTuple):
    """A command that a person gives about each row that a query finds: its words name the row's columns."""

    query: str
    command: str
    note: str


def _broken(kind: str, days: int) -> str:
    """SQL: breaks (b) of a kind of our cohorts (o), open for so many days."""
    return (
        f"break b JOIN cohort o ON o.cohort_id = ANY (%(cohorts)s) AND b.kind = '{kind}' AND b.closed_on IS NULL"
        f" AND b.opened_on + {days} < %(day)s"
    )


def _effective(alias: str) -> str:
    """SQL: joins to the plastics of `alias` the cards of cohort o (c) of which they are the effective ones."""
    return f"JOIN card c ON (c.cohort_no, c.card_ref, c.effective) = (o.cohort_no, {alias}.card_ref, {alias}.attempt)"


OVERDUE = (
    f"{_broken('OVERDUE', DESPAIRING)} JOIN plastic p ON p.card_ref = b.card_ref {_effective('p')}"
    f" JOIN sealed_job s ON s.job_id = p.job_id AND s.sent_on + {DESPAIRING} < %(day)s"
)
"""Cards so long overdue (c) that their plastics' factory will do no more; their plastics (p)."""
CHORES = (
    Chore(
        "SELECT brake_no FROM brake WHERE decided_on IS NULL",
        "brake decide {} --go-on --note", "looked at by the demo's operator",
    ),
    Chore(
        f"SELECT c.card_ref FROM {_broken('FEED_SILENT', DESPAIRING)} JOIN letter_news l"
        f" ON carrier_of(l.consignment_id) = b.reference {_effective('l')} WHERE c.state = 'POSTED' AND NOT EXISTS"
        " (SELECT FROM remake r WHERE (r.card_ref, r.attempt) = (l.card_ref, l.attempt))",
        "card remake {} --reason LOST_IN_MAIL --note", "the carrier knows nothing",
    ),
    Chore(
        f"SELECT c.card_ref FROM {_broken('HANDOVER_COUNT', SEARCHING)} JOIN plastic_in_consignment a"
        f" ON a.consignment_id = b.reference {_effective('a')}"
        " WHERE a.handed_over IS NOT NULL AND a.received_at_place IS NULL AND c.state = 'HANDED_OVER'",
        "card remake {} --reason LOST_IN_HANDOVER --note", "not found",
    ),
    Chore(
        f"SELECT c.card_ref FROM {OVERDUE} WHERE {in_states('c.state', 'due_runs')} AND p.made IS NOT NULL",
        "card remake {} --reason DAMAGED --note", "its factory is closed",
    ),
    Chore(
        f"SELECT DISTINCT p.job_id FROM {OVERDUE} WHERE coalesce(p.made, p.spoiled, p.item_refused) IS NULL",
        "job reassign {} --reason", "its factory is closed",
    ),
    Chore(
        "SELECT q.card_ref, q.attempt, q.kind FROM request q JOIN card USING (card_ref) JOIN cohort o USING (cohort_no)"
        f" WHERE o.cohort_id = ANY (%(cohorts)s) AND q.ended_on IS NULL AND q.due_on + {DESPAIRING} < %(day)s",
        "request waive {} {} {} --note", "nobody will answer",
    ),
    Chore(
        "SELECT break_id FROM break b JOIN cohort o USING (cohort_no) WHERE o.cohort_id = ANY (%(cohorts)s)"
        f" AND b.closed_on IS NULL AND (b.kind = ANY (%(lasting)s) OR b.kind = ANY (%(patient)s)"
        f" AND b.opened_on + {SEARCHING} < %(day)s"
        f" OR b.kind = 'OUT_OF_ORDER' AND b.opened_on + {DESPAIRING} < %(day)s)",
        "break resolve {} --note", "explained by the demo's operator",
    ),
)  # fmt: skip
"""In their order: what is explained at the end has been dealt with before."""
PATIENT = ("HANDOVER_COUNT", "REMAKE_LIMIT")
"""Kinds of breaks that are not acted on at once."""
LASTING = [kind.name for kind in BREAK_KINDS.values() if not kind.closes_itself and kind.name not in PATIENT]
UNPLANNED = f"""
SELECT o.cohort_id FROM {_broken("REMAKE_LIMIT", SEARCHING)} WHERE b.cohort_no = o.cohort_no
UNION SELECT o.cohort_id FROM cohort o JOIN card c USING (cohort_no)
WHERE o.cohort_id = ANY (%(cohorts)s) AND o.state = 'DISPATCHED' AND c.state = 'WAITING' AND c.last_attempt = 0
  AND shanghai_day(c.since) + {SEARCHING} < %(day)s
"""
"""Cohorts with re-makes past the allowance, or with cards that came to be made after their wave."""
MOVED = """
SELECT o.cohort_id, w.wave FROM wave w JOIN cohort o USING (cohort_no) LEFT JOIN release r USING (cohort_no, wave)
WHERE o.cohort_id = ANY (%(cohorts)s) AND o.state = 'DISPATCHED' AND r.wave IS NULL AND w.plastics > 0
"""
"""Waves that wait for their release: of what was moved to another factory."""


def operate(settings: Settings, cohorts: Sequence[str]) -> int:
    """Do all chores and release what is to be released; returns how much was done."""
    with transaction(settings.database_url) as connection:
        values = {
            "cohorts": list(cohorts),
            "day": business_day(connection),
            "lasting": LASTING,
            "patient": list(PATIENT),
        }
        found = [(chore, connection.execute(chore.query, values).fetchall()) for chore in CHORES]
        unplanned = connection.execute(UNPLANNED, values).fetchall()
    for chore, rows in found:
        for row in rows:
            as_user("planner", *chore.command.format(*row).split(), chore.note)
    planned = [_plan(cohort_id) for (cohort_id,) in unplanned]
    with transaction(settings.database_url) as connection:
        moved = connection.execute(MOVED, values).fetchall()
    for cohort_id, wave in sorted({*planned, *moved}):
        release_wave(settings, cohort_id, wave)
    return len(planned) + len(moved) + sum(len(rows) for _, rows in found)


def _plan(cohort_id: str) -> tuple[str, int]:
    return cohort_id, int(json.loads(as_user("planner", "cohort", "plan", cohort_id, "--json"))["wave"])


def release_wave(settings: Settings, cohort_id: str, wave: int, patience: float = PATIENCE) -> None:
    """As the second person, who neither submitted nor planned, release a wave once it is planned; wait till it is sent.

    Raises:
        Broken: its run has failed.
        Unavailable: a step takes longer than `patience` (seconds).
    """
    airflow, run_id = airflow_of("pipeline", settings), f"{cohort_id}.{wave}"

    def planned() -> bool:
        return wave_state(settings, cohort_id, wave) == "waiting" or ended(airflow, "card_dispatch", run_id)

    def sent() -> bool:
        # a slow scheduler can lose an answer and ask again; the same release wakes the run again
        if airflow.pending_approvals("card_dispatch", run_id):
            as_user("releaser", "cohort", "release", cohort_id, str(wave))
        return ended(airflow, "card_dispatch", run_id)

    await_condition(planned, "the plan to wait for its release", patience)
    as_user("releaser", "cohort", "release", cohort_id, str(wave))
    await_condition(sent, "dispatch to end", patience)


def ended(airflow: Airflow, dag_id: str, run_id: str) -> bool:
    """Whether a run has succeeded; False while there is none.

    Raises:
        Broken: it has failed.
    """
    state = airflow.run_state(dag_id, run_id)
    if state == "failed":
        raise Broken("RUN_FAILED", f"{dag_id} {run_id} failed: {airflow.failed_tasks(dag_id, run_id)}")
    return state == "success"
