"""The clocks for operators: how long cards have been in a state, and what will breach within some days."""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import date, timedelta
from itertools import groupby
from typing import Any, NamedTuple

from issuance.city.calendar import STATE_COUNCIL
from issuance.city.city import City
from issuance.ledger.connection import Connection
from issuance.ledger.queries import cohort_number, rows_of
from issuance.tracking.requests import OF_PLASTIC, OPEN, REFERENCE
from issuance.words.collection import keeper
from issuance.words.lifecycle import CARD_STATES, ENDED_STATES, in_states

CLOCKS: dict[str, tuple[str, str]] = {
    # clock: (zh, en) of what has to happen by its day
    "MADE": ("制卡完成", "the card is made"),
    "JOB_ANSWER": ("制卡厂受理任务", "the factory answers the job"),
    "CUSTODY": ("对方签收或交寄", "the receiver signs for a hand-over, or posts the letter"),
    "MAIL_NEWS": ("邮件有新轨迹，否则视为丢失", "tracking events of the letter, or it is presumed lost"),
    "REQUEST": ("合作方回应请求", "the partner answers a request"),
    "COLLECTION": ("持卡人领取，否则注销", "the holder collects it, or it is cancelled"),
    "ACTIVATION": ("持卡人启用社保功能", "the holder activates social security"),
    "OLD_CARD_STOP": ("旧卡停用前启用新卡", "the new card is activated before the old one stops"),
}

OPEN_CARDS = "SELECT * FROM card WHERE %(cohort)s::int IS NULL OR cohort_no = %(cohort)s"
DUE = f"""
WITH open_card AS ({OPEN_CARDS})
SELECT 'MADE' AS clock, due_on, factory AS waits_on, state, card_ref::text AS reference, 1 AS cards FROM open_card
WHERE {in_states("state", "due_runs")} OR state = 'HELD'
UNION ALL
SELECT 'CUSTODY', max(g.look_on) - 1, NULL, min(c.state), g.consignment_id, count(DISTINCT c.card_ref)
FROM changed_consignment g JOIN letter_news l USING (consignment_id) JOIN open_card c USING (card_ref)
WHERE g.look_on > %(day)s AND coalesce(l.received_at_place, l.posted, l.delivered, l.returned, l.lost) IS NULL
GROUP BY g.consignment_id
UNION ALL
SELECT 'MAIL_NEWS', next_due, NULL, state, card_ref::text, 1 FROM open_card WHERE state = 'POSTED'
UNION ALL
SELECT 'REQUEST', q.due_on, q.partner, c.state, {REFERENCE}, 1
FROM {OF_PLASTIC} JOIN open_card c USING (card_ref) WHERE {OPEN}
UNION ALL
SELECT 'COLLECTION', shanghai_day(since) + %(keep_days)s, {keeper("bank")}, state, card_ref::text, 1
FROM open_card WHERE {in_states("state", "kept")}
UNION ALL
SELECT 'ACTIVATION', shanghai_day(since) + %(not_activated_days)s, NULL, state, card_ref::text, 1 FROM open_card
WHERE state = 'COLLECTED'
UNION ALL
SELECT 'OLD_CARD_STOP', (%(stops)s::jsonb ->> old_card_generation::text)::date, NULL, state, card_ref::text, 1
FROM open_card WHERE %(stops)s::jsonb ? old_card_generation::text AND NOT state = ANY (%(ended)s)
"""


class Age(NamedTuple):
    """How long the cards of one state have been in it."""

    state: str
    cards: int
    median_days: int
    most_days: int
    most_working_days: int | None
    """None: a year's working days are not known."""


def stage_ages(connection: Connection, cohort_id: str, day: date) -> list[Age]:
    """Every state that has cards of a cohort, in the order of a card's way, with its ages at the end of a day.

    A letter in the mail is in POSTED only: the other states contain no postal transit.
    """
    rows = connection.execute(
        "SELECT state, count(*), percentile_disc(0.5) WITHIN GROUP (ORDER BY %s - shanghai_day(since)),"
        " min(shanghai_day(since)) FROM card WHERE cohort_no = %s GROUP BY state",
        (day, cohort_number(connection, cohort_id)),
    ).fetchall()
    order = list(reversed(CARD_STATES))
    ages = [Age(s, n, median, (day - first).days, working_days(first, day)) for s, n, median, first in rows]
    return sorted(ages, key=lambda age: (age.state in ENDED_STATES, order.index(age.state)))


def working_days(first: date, last: date) -> int | None:
    """Working days after `first` up to `last`; None where a year's calendar is not known."""
    days = [first + timedelta(days=n) for n in range(1, (last - first).days + 1)]
    calendar = STATE_COUNCIL
    return sum(map(calendar.is_working_day, days)) if all(map(calendar.is_known, (first, last))) else None


def coming_due(
    connection: Connection, city: City, day: date, within: int, cohort_id: str | None = None
) -> list[dict[str, Any]]:
    """Every clock that expires within some days, or has expired: clock, due_on, waits_on, state, reference, cards.

    Sorted by due day; a breach is the day after it. Days are the policy's: working days for jobs, calendar else.
    """
    cohort = cohort_number(connection, cohort_id) if cohort_id else None
    values = {
        "cohort": cohort,
        "day": day,
        "hrss": city.hrss,
        "keep_days": city.policy.keep_days,
        "not_activated_days": city.policy.not_activated_days,
        "ended": sorted(ENDED_STATES),
        "stops": json.dumps({str(generation): str(stop) for generation, stop in city.policy.old_card_stop.items()}),
    }
    last = day + timedelta(days=within)
    found = rows_of(connection, f"SELECT * FROM ({DUE}) due WHERE due_on <= %(last)s", values | {"last": last})
    found += [row for row in _unanswered_jobs(connection, city, cohort) if row["due_on"] <= last]
    return sorted(found, key=lambda row: (row["due_on"], list(CLOCKS).index(row["clock"]), row["reference"]))


def _unanswered_jobs(connection: Connection, city: City, cohort: int | None) -> list[dict[str, Any]]:
    rows = connection.execute(
        "SELECT sent_on, j.factory, job_id, j.card_count FROM sealed_job JOIN job j USING (job_id)"
        " WHERE job_accepted IS NULL AND job_refused IS NULL AND j.cancelled_on IS NULL"
        " AND (%(cohort)s::int IS NULL OR j.cohort_no = %(cohort)s)",
        {"cohort": cohort},
    ).fetchall()
    return [
        {"clock": "JOB_ANSWER", "due_on": city.calendar.add_working_days(sent_on, city.policy.answer_days),
         "waits_on": factory, "state": "ORDERED", "reference": job_id, "cards": cards}
        for sent_on, factory, job_id, cards in rows
    ]  # fmt: skip


def summed(rows: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """What is due by (due_on, clock, waits_on): how many cards, and one reference as an example."""
    kept = sorted(rows, key=_group)
    return [
        {"due_on": key[0], "clock": key[1], "what": " / ".join(CLOCKS[key[1]]), "waits_on": key[2] or None,
         "cards": sum(row["cards"] for row in group), "for example": group[0]["reference"]}
        for key, group in ((key, list(rows)) for key, rows in groupby(kept, key=_group))
    ]  # fmt: skip


def _group(row: dict[str, Any]) -> tuple[date, str, str]:
    return row["due_on"], row["clock"], row["waits_on"] or ""
