"""The breaks of a card: differences between its facts, decisions and clocks, as data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

from issuance.breaks.settle import difference, settle
from issuance.ledger.connection import Connection
from issuance.tracking.cancellations import SECOND
from issuance.tracking.fold import stands
from issuance.tracking.remakes import SILENT
from issuance.wire.pauses import paused
from issuance.words.lifecycle import MILESTONES, in_states

HRSS = "%(hrss)s::text"


@dataclass(frozen=True)
class BreakRule:
    """The condition of a kind of break: SQL over a plastic (plastic_snapshot s) and its card (card_snapshot k, card c).

    The texts `expected` and `actual` say what differs and nothing that moves on by itself, since another difference
    opens an explained break again.
    """

    kind: str
    when: str
    expected: str
    actual: str
    answers_for: str = "coalesce(s.bank, c.bank)"
    """The partner who has to explain it."""
    of_card: bool = False
    """About the card as a whole, judged by its effective plastic; otherwise about each of its plastics."""

    def query(self) -> str:
        """SQL that finds the differences of this kind among the cards of the snapshot."""
        attempt = "NULL::smallint" if self.of_card else "s.attempt"
        columns = difference(
            f"'{self.kind}'",
            reference="k.card_ref::text" if self.of_card else "k.card_ref || '/' || s.attempt",
            expected=self.expected,
            actual=self.actual,
            cohort_no="k.cohort_no",
            card_ref="k.card_ref",
            attempt=attempt,
            answers_for=self.answers_for,
        )
        plastic = "LEFT JOIN plastic_snapshot s ON s.card_ref = k.card_ref AND s.effective"
        if not self.of_card:
            plastic = "JOIN plastic_snapshot s ON s.card_ref = k.card_ref"
        return (
            f"SELECT {columns} FROM card_snapshot k JOIN card c ON c.card_ref = k.card_ref {plastic} WHERE {self.when}"
        )


def clock_runs(kind: str, *partners: str) -> str:
    """SQL: whether a break of this kind about card c may open by time: not while one of these partners is paused, but
    what is open stays open."""
    return (
        f"(NOT {paused(*partners)} OR EXISTS (SELECT FROM break b WHERE b.card_ref = c.card_ref"
        f" AND b.kind = '{kind}' AND coalesce(b.closed_by, '') <> 'evidence'))"
    )


LACKING = {
    # milestone: over a plastic (plastic_snapshot s), whether it lacks; the mark of the later one that came without it
    "ITEM_ACCEPTED": ("s.attempt > 0 AND s.accepted IS NULL AND s.refused IS NULL", "s.made"),
    "MADE": ("s.attempt > 0 AND s.made IS NULL", "least(s.c_handed_over, s.ss_keyed, s.bank_keyed, s.taken)"),
    "BANK_KEYED": ("s.attempt > 0 AND s.bank_keyed IS NULL", "s.c_handed_over"),
    "SS_KEYED": ("s.attempt > 0 AND s.ss_keyed IS NULL", "s.c_handed_over"),
    "RECEIVED_AT_PLACE": (
        "s.attempt > 0 AND coalesce(s.c_received, s.c_posted, s.issued_instantly) IS NULL", "s.taken",
    ),
    "SS_CANCELLED": ("s.attempt > 0 AND s.ss_cancelled IS NULL", "s.account_cancelled"),
    "SS_ACTIVATED": ("s.ss_activated IS NULL", "s.old_card_lapsed"),
}  # fmt: skip


def after_grace(kind: str, since: str) -> str:
    """SQL: whether the grace of a kind of break is over that began with a mark."""
    return f"{last_day_of_grace(kind, since)} < %(day)s"


def last_day_of_grace(kind: str, since: str) -> str:
    """SQL: the last day on which time alone may still explain a difference that began with a mark."""
    return f"shanghai_day(mark_at({since})) + (%(grace_days)s::jsonb ->> '{kind}')::int"


LACKED_MILESTONES = (
    "concat_ws(', ', "
    + ", ".join(
        f"CASE WHEN {lacks} AND {after_grace('OUT_OF_ORDER', since)} THEN '{name}' END"
        for name, (lacks, since) in LACKING.items()
    )
    + ")"
)


ENDINGS = {"destroyed": "DESTROYED", "loss_reported": "LOSS_REPORTED", "ss_cancelled": "SS_CANCELLED"}


DEAD_BEFORE = (
    "concat_ws(', ', "
    + ", ".join(f"CASE WHEN s.ss_activated > s.{column} THEN '{name}' END" for column, name in ENDINGS.items())
    + ")"
)
"""Milestones after which a plastic (plastic_snapshot s) must not be activated, but was."""


SERIALS = (
    "(SELECT count(DISTINCT mark_content(f.mark) ->> 'serial') FROM fact f WHERE (f.card_ref, f.attempt) ="
    " (s.card_ref, s.attempt) AND f.milestone = 'MADE' AND NOT f.corrects AND NOT EXISTS (SELECT FROM fact k"
    " WHERE (k.card_ref, k.attempt) = (f.card_ref, f.attempt) AND k.milestone = 'MADE' AND k.corrects"
    " AND left(k.mark, 13) = left(f.mark, 13)))"
)
"""How many serials the valid reports of MADE name for a plastic (plastic_snapshot s)."""


BEYOND_ORDER = (
    "CASE WHEN s.conflict AND " + SERIALS + " > 1 THEN 'made twice, under ' || " + SERIALS + " || ' serials'"
    " WHEN s.made IS NULL OR s.destroyed IS NOT NULL OR s.attempt = 0 THEN NULL"
    " WHEN mark_reason(s.refused) = 'CANCELLED' THEN 'made after it was cancelled in time'"
    " WHEN s.refused IS NOT NULL THEN 'made after it was refused'"
    " WHEN s.ordered_on IS NULL THEN 'made before it was ordered' END"
)
"""What a factory made in excess of its order of a plastic (plastic_snapshot s); NULL: nothing."""


PATIENT = {
    # kind: (over a plastic (plastic_snapshot s), whether there is a difference that time may explain, since which mark)
    "ACTIVATED_NOT_COLLECTED": ("s.taken IS NULL", "s.ss_activated"),
    "FINANCE_ALONE": ("s.ss_activated IS NULL", "s.finance_activated"),
}
GRACES = " UNION ALL ".join(
    f"SELECT {last_day_of_grace(kind, since)} + 1 AS day FROM plastic_snapshot s"
    f" WHERE s.card_ref = c.card_ref AND {since} IS NOT NULL AND {lacks}"
    for kind, (lacks, since) in [*(("OUT_OF_ORDER", pair) for pair in LACKING.values()), *PATIENT.items()]
)
"""SELECT of the days on which a grace of card c is over: clocks of the card."""


def _patient(kind: str) -> str:
    lacks, since = PATIENT[kind]
    return f"{lacks} AND {after_grace(kind, since)}"


BREAK_RULES = (
    BreakRule(
        "TWO_PLASTICS",
        f"s.was_made AND (NOT s.dead AND {SECOND} OR s.cancel_reason = 'TWO_PLASTICS' AND NOT s.order_ended)",
        "'destroyed'",
        "'plastic ' || s.attempt || ' exists, ' || k.effective || ' is effective'",
    ),
    BreakRule(
        "OUT_OF_ORDER",
        LACKED_MILESTONES + " <> ''",
        "'every milestone before it'",
        "'without ' || " + LACKED_MILESTONES,
    ),
    BreakRule("ACTIVATED_NOT_COLLECTED", _patient("ACTIVATED_NOT_COLLECTED"), "'collected'", "'activated only'"),
    BreakRule(
        "FINANCE_ALONE",
        _patient("FINANCE_ALONE"),
        "'SS_ACTIVATED'",
        "'FINANCE_ACTIVATED'",
        HRSS,
    ),
    BreakRule(
        "ACTIVATED_DEAD", DEAD_BEFORE + " <> ''", "'no activation'", "'activated after ' || " + DEAD_BEFORE, HRSS
    ),
    BreakRule(
        "OLD_CARD_USED",
        "s.old_card_used > s.ss_activated",
        "'old card lapsed'",
        "'used on ' || shanghai_day(mark_at(s.old_card_used))",
        HRSS,
    ),
    BreakRule("MADE_BEYOND_ORDER", BEYOND_ORDER + " IS NOT NULL", "'one plastic an order'", BEYOND_ORDER, "s.factory"),
    BreakRule(
        "AGAINST_DECISION",
        "s.taken IS NOT NULL AND (s.cancel_reason IN ('EXPIRED', 'UNDELIVERABLE', 'FOUND')"
        " OR s.cancel_reason = 'REPLACED' AND EXISTS (SELECT FROM remake r WHERE (r.card_ref, r.attempt) ="
        " (s.card_ref, s.attempt) AND r.ground = ANY (%(losses)s)) OR coalesce(s.spoiled, s.refused) IS NOT NULL)",
        "'cancelled'",
        "'collected'",
    ),
    BreakRule(
        "LETTER_SILENT",
        "s.state = 'POSTED' AND NOT s.dead AND NOT s.presumed"
        " AND shanghai_day(mark_at(s.c_last_news)) + %(letter_days)s < %(day)s"
        f" AND NOT {SILENT.format(letter='s.c_id')} AND {clock_runs('LETTER_SILENT', 'carrier_of(s.c_id)')}",
        "'news of the letter'",
        "'none since ' || shanghai_day(mark_at(s.c_last_news))",
        "carrier_of(s.c_id)",
    ),
    BreakRule(
        "OVERDUE",
        f"c.due_on < %(day)s AND {in_states('k.state', 'due_runs')}"
        f" AND {clock_runs('OVERDUE', 'c.bank', 'c.factory', HRSS)}",
        "c.due_on::text",
        "'not handed over'",
        "c.factory",
        of_card=True,
    ),
    BreakRule(
        "SECOND_CARD",
        "EXISTS (SELECT FROM holder_event e JOIN acceptance a ON a.person = e.person AND a.card_ref <> c.card_ref"
        " JOIN card o ON o.card_ref = a.card_ref WHERE e.card_ref = c.card_ref AND e.person = c.person"
        " AND a.replaces IS DISTINCT FROM c.card_ref"
        f" AND NOT (o.withdrawn IS NOT NULL AND {in_states('o.state', 'ended')}))",
        "'one card a person'",
        "(SELECT a.card_ref::text FROM acceptance a WHERE a.person = c.person)",
        "c.bank",
        of_card=True,
    ),
    BreakRule(
        "COLLECTED_NOT_ACTIVATED",
        f"k.state = 'NOT_ACTIVATED' AND c.withdrawn IS NULL AND {clock_runs('COLLECTED_NOT_ACTIVATED', HRSS)}",
        "'SS_ACTIVATED'",
        "'collected only'",
        HRSS,
        of_card=True,
    ),
    BreakRule(
        "PENSION_AT_RISK",
        "k.pension_risk = 'BANK_SWITCHED' OR k.pension_risk IS NOT NULL AND " + clock_runs("PENSION_AT_RISK", "c.bank"),
        "'FINANCE_ACTIVATED'",
        "k.pension_risk",
        "c.bank",
        of_card=True,
    ),
)


SINGLE = sorted(name for name, milestone in MILESTONES.items() if not milestone.repeatable)
CONFLICTS = f"""
SELECT {
    difference(
        "'CONFLICT'",
        reference="s.card_ref || '/' || s.attempt || ' ' || two.milestone",
        expected="'one value'",
        actual="'two values'",
        cohort_no="k.cohort_no",
        card_ref="k.card_ref",
        attempt="s.attempt",
        answers_for="coalesce(s.bank, c.bank)",
    )
}
FROM card_snapshot k JOIN card c ON c.card_ref = k.card_ref JOIN plastic_snapshot s ON s.card_ref = k.card_ref
CROSS JOIN LATERAL (
    SELECT f.milestone FROM fact f WHERE (f.card_ref, f.attempt) = (s.card_ref, s.attempt)
        AND {stands("f")} AND f.milestone = ANY ('{{{",".join(SINGLE)}}}')
    GROUP BY f.milestone, f.consignment_id HAVING min(f.mark) <> max(f.mark)
    UNION SELECT f.milestone FROM fact f WHERE f.subject = 'mail' AND f.consignment_id = s.c_id
        AND same_use(f.mark, s.c_handed_over) AND {stands("f")} AND f.milestone = ANY ('{{{",".join(SINGLE)}}}')
    GROUP BY f.milestone HAVING min(f.mark) <> max(f.mark)) two
WHERE s.any_conflict
"""
"""Two values of one fact of a plastic, or of the letter that it is in: a break for each milestone."""


def settle_card_breaks(connection: Connection, day: date, values: Mapping[str, Any]) -> int:
    """Open and close the breaks of the cards in `work` by their conditions; returns how many changed.

    `values` are those of the city (day, hrss): while its HRSS is paused, cards are not overdue.
    """
    query = " UNION ALL ".join([CONFLICTS, *(rule.query() for rule in BREAK_RULES)])
    kinds = ["CONFLICT", *(rule.kind for rule in BREAK_RULES)]
    return settle(connection, day, kinds, query, values, "card_ref IN (SELECT card_ref FROM work)")
