"""The demo's operator: acts on breaks of its cohorts by the public commands, as people would."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from issuance.airflow.client import Airflow
from issuance.breaks.kinds import BREAK_KINDS
from issuance.demo.people import airflow_of, as_user
from issuance.demo.waiting import PATIENCE, await_condition
from issuance.dispatch.release import wave_state
from issuance.errors import Broken
from issuance.ledger.connection import Connection, business_day, transaction
from issuance.settings import Settings

SEARCHING = timedelta(days=3)
"""How long the operator waits for a plastic missing from a hand-over, and for held re-makes to accumulate."""
SILENT = """
SELECT c.card_ref FROM break b JOIN letter_news l ON carrier_of(l.consignment_id) = b.reference
JOIN card c ON (c.card_ref, c.effective) = (l.card_ref, l.attempt) JOIN cohort o ON o.cohort_no = c.cohort_no
WHERE b.kind = 'FEED_SILENT' AND b.closed_on IS NULL AND o.cohort_id = ANY (%s) AND c.state = 'POSTED'
  AND b.opened_on + 15 < (SELECT day FROM business_clock)
  AND NOT EXISTS (SELECT FROM remake r WHERE (r.card_ref, r.attempt) = (l.card_ref, l.attempt))
"""
"""Letters of a carrier that has been silent for 15 days: nobody will ever hear of them."""
PATIENT = ("HANDOVER_COUNT", "REMAKE_LIMIT")
"""Kinds of breaks that are not acted on at once."""


def operate(settings: Settings, cohorts: Sequence[str]) -> int:
    """Act on open breaks and brakes; returns how many were explained or decided.

    What a hand-over lacks, and a letter without any news, is re-made; re-makes past the allowance leave in a wave
    of their own; what a brake holds goes on; and every break that does not close itself is explained.
    """
    lasting = [kind.name for kind in BREAK_KINDS.values() if not kind.closes_itself and kind.name not in PATIENT]
    with transaction(settings.database_url) as connection:
        rows: list[Any] = connection.execute(
            "SELECT break_id, kind, reference, cohort_id FROM break JOIN cohort USING (cohort_no)"
            " WHERE cohort_id = ANY (%s) AND break.closed_on IS NULL"
            " AND (kind = ANY (%s) OR kind = ANY (%s) AND opened_on < %s)",
            (list(cohorts), lasting, list(PATIENT), business_day(connection) - SEARCHING),
        ).fetchall()
        lost = [
            ref for _, kind, reference, _ in rows if kind == "HANDOVER_COUNT" for ref in _lost(connection, reference)
        ]
        brakes: list[Any] = connection.execute("SELECT brake_no FROM brake WHERE decided_on IS NULL").fetchall()
        silent: list[Any] = connection.execute(SILENT, (list(cohorts),)).fetchall()
    for (brake_no,) in brakes:
        as_user("planner", "brake", "decide", str(brake_no), "--go-on", "--note", "looked at by the demo's operator")
    for (card_ref,) in silent:
        as_user(
            "planner",
            "card",
            "remake",
            str(card_ref),
            "--reason",
            "LOST_IN_MAIL",
            "--note",
            "the carrier knows nothing",
        )
    for card_ref in lost:
        as_user("planner", "card", "remake", card_ref, "--reason", "LOST_IN_HANDOVER", "--note", "not found")
    for cohort_id in sorted({cohort_id for _, kind, _, cohort_id in rows if kind == "REMAKE_LIMIT"}):
        release_remakes(settings, cohort_id)
    for break_id, kind, *_ in rows:
        if kind == "HANDOVER_COUNT" and lost:
            continue  # explained by the re-make; if something else differs, the next pass shows it
        as_user("planner", "break", "resolve", str(break_id), "--note", "explained by the demo's operator")
    return len(rows) + len(brakes) + len(silent)


def _lost(connection: Connection, consignment_id: str) -> list[str]:
    """The cards that were handed over to a place and not received there, while the hand-over is what they wait for."""
    rows = connection.execute(
        "SELECT card_ref FROM plastic_in_consignment a JOIN card c USING (card_ref) WHERE consignment_id = %s"
        " AND handed_over IS NOT NULL AND received_at_place IS NULL AND c.state = 'HANDED_OVER'"
        " AND a.attempt = c.effective ORDER BY 1",
        (consignment_id,),
    ).fetchall()
    return [str(ref) for (ref,) in rows]


def release_remakes(settings: Settings, cohort_id: str) -> None:
    """Have a cohort's held re-makes planned as a wave, which a second person releases, and wait until it is sent."""
    wave = int(json.loads(as_user("planner", "cohort", "plan", cohort_id, "--json"))["wave"])
    release_wave(settings, cohort_id, wave)


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
