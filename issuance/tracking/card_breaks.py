"""The breaks of a card: differences between its facts, decisions and clocks, as data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

from issuance.breaks.settle import difference, settle
from issuance.ledger.connection import Connection
from issuance.wire.pauses import paused
from issuance.words.lifecycle import in_states

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
    # milestone: over a plastic (plastic_snapshot s), whether a later one came without it
    "ITEM_ACCEPTED": "s.attempt > 0 AND s.accepted IS NULL AND s.refused IS NULL AND s.made IS NOT NULL",
    "MADE": "s.attempt > 0 AND s.made IS NULL AND coalesce(s.c_handed_over, s.ss_keyed, s.bank_keyed, s.taken)"
    " IS NOT NULL",
    "BANK_KEYED": "s.attempt > 0 AND s.c_handed_over IS NOT NULL AND s.bank_keyed IS NULL",
    "SS_KEYED": "s.attempt > 0 AND s.c_handed_over IS NOT NULL AND s.ss_keyed IS NULL",
    "RECEIVED_AT_PLACE": "s.attempt > 0 AND s.taken IS NOT NULL"
    " AND coalesce(s.c_received, s.c_posted, s.issued_instantly) IS NULL",
    "SS_CANCELLED": "s.attempt > 0 AND s.account_cancelled IS NOT NULL AND s.ss_cancelled IS NULL",
    "SS_ACTIVATED": "s.old_card_lapsed IS NOT NULL AND s.ss_activated IS NULL",
}


LACKED_MILESTONES = (
    "concat_ws(', ', " + ", ".join(f"CASE WHEN {when} THEN '{name}' END" for name, when in LACKING.items()) + ")"
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


BREAK_RULES = (
    BreakRule("CONFLICT", "s.any_conflict", "'one value'", "'two values'"),
    BreakRule(
        "TWO_PLASTICS",
        "NOT s.effective AND s.exists_now",
        "'destroyed'",
        "'plastic ' || s.attempt || ' exists, ' || k.effective || ' is effective'",
    ),
    BreakRule(
        "OUT_OF_ORDER",
        LACKED_MILESTONES + " <> ''",
        "'every milestone before it'",
        "'without ' || " + LACKED_MILESTONES,
    ),
    BreakRule(
        "ACTIVATED_NOT_COLLECTED", "s.ss_activated IS NOT NULL AND s.taken IS NULL", "'collected'", "'activated only'"
    ),
    BreakRule(
        "FINANCE_ALONE",
        "s.finance_activated IS NOT NULL AND s.ss_activated IS NULL",
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
        "s.taken IS NOT NULL AND EXISTS (SELECT FROM decision d WHERE (d.card_ref, d.attempt) = (s.card_ref, s.attempt)"
        " AND d.kind = 'CANCEL_PLASTIC' AND d.reason IN ('EXPIRED', 'UNDELIVERABLE', 'MAIL_LOST', 'MISSING'))",
        "'cancelled'",
        "'collected'",
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
        " WHERE e.card_ref = c.card_ref AND e.person = c.person AND a.replaces IS DISTINCT FROM c.card_ref)",
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


def settle_card_breaks(connection: Connection, day: date, values: Mapping[str, Any]) -> int:
    """Open and close the breaks of the cards in `work` by their conditions; returns how many changed.

    `values` are those of the city (day, hrss): while its HRSS is paused, cards are not overdue.
    """
    query = " UNION ALL ".join(rule.query() for rule in BREAK_RULES)
    kinds = [rule.kind for rule in BREAK_RULES]
    return settle(connection, day, kinds, query, values, "card_ref IN (SELECT card_ref FROM work)")
