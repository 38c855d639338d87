"""Cohorts planned ahead: postponed or withdrawn before they open, by whom and why."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import date

from issuance.city.city import load_city
from issuance.dispatch.release import take_back
from issuance.errors import Refused, unknown_cohort
from issuance.ledger.audit import audit, require_note
from issuance.ledger.connection import Connection, business_day, transaction
from issuance.settings import Settings
from issuance.wire.news import tell_cohort


@dataclass(frozen=True)
class Coming:
    """A cohort that has not opened yet."""

    cohort_id: str
    cohort_no: int
    city: str
    state: str
    opens_on: date


def postpone_cohort(settings: Settings, cohort_id: str, opens_on: date, reason: str, user: str) -> int:
    """Move a cohort's opening day, and with it the due dates of its cards; returns how many of them moved.

    A due date counts from the later of application and opening day. A plan that is not released is revoked. Locks
    the cohort and its submissions.

    Raises:
        Refused: no such cohort, it has opened, its rows are being accepted, the day is not in the future, or no reason.
    """
    require_note(reason, "reason")
    with transaction(settings.database_url) as connection:
        day = business_day(connection)
        cohort = _lock_coming(connection, cohort_id, day)
        if opens_on <= day:
            raise Refused("DAY_PAST", f"{opens_on} 不在今天（{day}）之后。 / {opens_on} is not after today, {day}.")
        if opens_on == cohort.opens_on:
            raise Refused("SAME_DAY", f"批次已定于 {opens_on} 启动。 / the cohort already opens on {opens_on}.")
        _take_back_plans(connection, cohort, user, reason, day)
        connection.execute("UPDATE cohort SET opens_on = %s WHERE cohort_no = %s", (opens_on, cohort.cohort_no))
        moved = _move_due_dates(connection, settings, cohort, opens_on)
        details = {"from": cohort.opens_on, "to": opens_on, "reason": reason, "cards": moved}
        head = audit(connection, user, "postpone", cohort_id, day, details)
        tell_cohort(connection, cohort_id, "POSTPONED", day, occasion=head[:16], details={"by": user, **details})
    return moved


def withdraw_cohort(settings: Settings, cohort_id: str, reason: str, user: str) -> int:
    """Withdraw a cohort before it opens: its cards end as withdrawn, its intake ends; returns how many cards.

    It then closes like any cohort, when its equations hold. Locks the cohort and its submissions.

    Raises:
        Refused: no such cohort, it has opened, its rows are being accepted, or no reason.
    """
    require_note(reason, "reason")
    with transaction(settings.database_url) as connection:
        day = business_day(connection)
        cohort = _lock_coming(connection, cohort_id, day)
        _take_back_plans(connection, cohort, user, reason, day)
        connection.execute(
            "UPDATE cohort SET state = 'WITHDRAWN', withdrawal = %s WHERE cohort_no = %s",
            (json.dumps({"by": user, "on": str(day), "reason": reason}, ensure_ascii=False), cohort.cohort_no),
        )
        connection.execute(
            "UPDATE submission SET state = 'REFUSED', refusal = %s WHERE cohort_no = %s"
            " AND state IN ('REGISTERED', 'WAITING_FOR_OPERATOR')",
            (json.dumps({"code": "COHORT_WITHDRAWN", "by": user, "reason": reason}, ensure_ascii=False),
             cohort.cohort_no),
        )  # fmt: skip
        cards = connection.execute(
            "WITH gone AS (UPDATE card SET withdrawn = 'COHORT_WITHDRAWN' WHERE cohort_no = %s AND withdrawn IS NULL"
            " RETURNING card_ref) INSERT INTO changed_card SELECT card_ref FROM gone",
            (cohort.cohort_no,),
        ).rowcount
        head = audit(connection, user, "withdraw", cohort_id, day, {"reason": reason, "cards": cards})
        details = {"by": user, "reason": reason, "cards": cards}
        tell_cohort(connection, cohort_id, "WITHDRAWN", day, occasion=head[:16], details=details)
    return cards


def _lock_coming(connection: Connection, cohort_id: str, day: date) -> Coming:
    """The cohort, locked against intake, if it may still be changed."""
    row = connection.execute(
        "SELECT cohort_id, cohort_no, city, state, opens_on FROM cohort WHERE cohort_id = %s FOR UPDATE", (cohort_id,)
    ).fetchone()
    if row is None:
        raise unknown_cohort(cohort_id)
    cohort = Coming(*row)
    if cohort.state == "WITHDRAWN" or _is_withdrawn(connection, cohort):
        raise Refused("ALREADY_WITHDRAWN", f"批次 {cohort_id} 已撤销。 / cohort {cohort_id} is already withdrawn.")
    if cohort.opens_on <= day:
        raise Refused(
            "ALREADY_OPEN",
            f"批次已于 {cohort.opens_on} 启动，不能再改期或撤销；可拒绝放行，或逐人登记撤回。"
            f" / the cohort opened on {cohort.opens_on}: it can no longer be postponed or withdrawn;"
            " refuse its plans, or report withdrawals one by one.",
            opens_on=str(cohort.opens_on),
        )
    states = connection.execute(
        "SELECT state FROM submission WHERE cohort_no = %s ORDER BY number FOR UPDATE", (cohort.cohort_no,)
    ).fetchall()
    if ("VALIDATED",) in states:
        raise Refused(
            "INTAKE_UNDER_WAY",
            f"批次 {cohort_id} 正在受理，请稍后再试。 / rows of {cohort_id} are being accepted; try again later.",
        )
    return cohort


def _is_withdrawn(connection: Connection, cohort: Coming) -> bool:
    row = connection.execute("SELECT withdrawal FROM cohort WHERE cohort_no = %s", (cohort.cohort_no,)).fetchone()
    return row is not None and row[0] is not None


def _take_back_plans(connection: Connection, cohort: Coming, user: str, reason: str, day: date) -> None:
    """Revoke plans that are not released; the next one is made automatically again. Locks the waves."""
    connection.execute("SELECT FROM wave WHERE cohort_no = %s ORDER BY wave FOR UPDATE", (cohort.cohort_no,))
    waves = connection.execute(
        "SELECT wave FROM wave LEFT JOIN release r USING (cohort_no, wave) WHERE cohort_no = %s"
        " AND r.released_on IS NULL AND refused IS NULL ORDER BY wave",
        (cohort.cohort_no,),
    ).fetchall()
    for (wave,) in waves:
        take_back(connection, cohort.cohort_no, wave, {"by": user, "reason": reason, "on": str(day), "postponed": True})


def _move_due_dates(connection: Connection, settings: Settings, cohort: Coming, opens_on: date) -> int:
    city = load_city(settings, cohort.city)
    waits = "cohort_no = %s AND last_attempt = 0 AND withdrawn IS NULL"
    starts = [
        start
        for (start,) in connection.execute(
            f"SELECT DISTINCT greatest(applied_on, %s) FROM card WHERE {waits}", (opens_on, cohort.cohort_no)
        ).fetchall()
    ]
    return connection.execute(
        "WITH moved AS (UPDATE card SET due_on = new.due_on FROM unnest(%s::date[], %s::date[]) AS new (start, due_on)"
        f" WHERE greatest(applied_on, %s) = new.start AND card.due_on <> new.due_on AND {waits} RETURNING card_ref)"
        " INSERT INTO changed_card SELECT card_ref FROM moved",
        (starts, [city.due_on(start) for start in starts], opens_on, cohort.cohort_no),
    ).rowcount
