"""The breaks of a card: differences between its facts, decisions and clocks, as data."""

from __future__ import annotations

from datetime import date

from issuance.breaks.settle import settle_breaks
from issuance.ledger.connection import Connection
from issuance.wire.pauses import paused


def note_breaks(connection: Connection, day: date, hrss: str | None = None) -> None:
    """Open the breaks that hold for the cards in `work` and close those that no longer do.

    `hrss` is the city's: while it is paused, cards are not overdue.
    """
    found = " UNION ALL ".join(
        [
            f"SELECT '{kind}', k.cohort_no, s.card_ref, s.attempt, s.card_ref || '/' || s.attempt, {expected}, {actual}"
            f" FROM standing s JOIN card_standing k USING (card_ref) WHERE {condition}"
            for kind, condition, expected, actual in BREAKS
        ]
        + [
            f"SELECT '{kind}', k.cohort_no, k.card_ref, NULL::smallint, k.card_ref::text, {expected}, {actual}"
            f" FROM card_standing k JOIN card c USING (card_ref) WHERE {condition}"
            for kind, condition, expected, actual in CARD_BREAKS
        ]
    )
    connection.execute(
        "CREATE TEMP TABLE found_break ON COMMIT DROP AS SELECT * FROM (" + found + ")"
        " AS found (kind, cohort_no, card_ref, attempt, reference, expected, actual)",
        {"day": day, "hrss": hrss},
    )
    kinds = [kind for kind, *_ in (*BREAKS, *CARD_BREAKS)]
    settle_breaks(connection, day, kinds, "card_ref IN (SELECT card_ref FROM work)")


def clock_runs(kind: str, *partners: str) -> str:
    """SQL: whether a break of this kind about card c may open by time: not while one of these partners is paused, but
    what is open stays open."""
    return (
        f"(NOT {paused(*partners)} OR EXISTS (SELECT FROM break b WHERE b.card_ref = c.card_ref"
        f" AND b.kind = '{kind}' AND coalesce(b.closed_by, '') <> 'evidence'))"
    )


LACKING = {
    # milestone: over a plastic (standing s), whether a later one came without it
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
"""After which milestones a plastic (standing s) was activated that must not be."""


SERIALS = (
    "(SELECT count(DISTINCT mark_content(f.mark) ->> 'serial') FROM fact f WHERE (f.card_ref, f.attempt) ="
    " (s.card_ref, s.attempt) AND f.milestone = 'MADE' AND NOT f.corrects AND NOT EXISTS (SELECT FROM fact k"
    " WHERE (k.card_ref, k.attempt) = (f.card_ref, f.attempt) AND k.milestone = 'MADE' AND k.corrects"
    " AND left(k.mark, 13) = left(f.mark, 13)))"
)
"""How many serials the standing reports of MADE name for a plastic (standing s)."""


BEYOND_ORDER = (
    "CASE WHEN s.conflict AND " + SERIALS + " > 1 THEN 'made twice, under ' || " + SERIALS + " || ' serials'"
    " WHEN s.made IS NULL OR s.destroyed IS NOT NULL OR s.attempt = 0 THEN NULL"
    " WHEN mark_reason(s.refused) = 'CANCELLED' THEN 'made after it was cancelled in time'"
    " WHEN s.refused IS NOT NULL THEN 'made after it was refused'"
    " WHEN s.ordered_on IS NULL THEN 'made before it was ordered' END"
)
"""What a factory made beyond its order of a plastic (standing s); NULL: nothing."""


BREAKS: tuple[tuple[str, str, str, str], ...] = (
    # (kind, condition over standing s and card_standing k, expected, actual); the texts say what differs and nothing
    # that moves on by itself, since another difference opens an explained break again
    ("CONFLICT", "s.any_conflict", "'one value'", "'two values'"),
    (
        "TWO_PLASTICS",
        "NOT s.effective AND s.exists_now",
        "'destroyed'",
        "'plastic ' || s.attempt || ' exists, ' || k.effective || ' is effective'",
    ),
    ("OUT_OF_ORDER", LACKED_MILESTONES + " <> ''", "'every milestone before it'", "'without ' || " + LACKED_MILESTONES),
    ("ACTIVATED_NOT_COLLECTED", "ss_activated IS NOT NULL AND taken IS NULL", "'collected'", "'activated only'"),
    (
        "FINANCE_ALONE",
        "finance_activated IS NOT NULL AND ss_activated IS NULL",
        "'SS_ACTIVATED'",
        "'FINANCE_ACTIVATED'",
    ),
    ("ACTIVATED_DEAD", DEAD_BEFORE + " <> ''", "'no activation'", "'activated after ' || " + DEAD_BEFORE),
    (
        "OLD_CARD_USED",
        "old_card_used > ss_activated",
        "'old card lapsed'",
        "'used on ' || shanghai_day(mark_at(old_card_used))",
    ),
    ("MADE_BEYOND_ORDER", BEYOND_ORDER + " IS NOT NULL", "'one plastic an order'", BEYOND_ORDER),
    (
        "AGAINST_DECISION",
        "taken IS NOT NULL AND EXISTS (SELECT FROM decision d WHERE d.card_ref = s.card_ref AND d.attempt = s.attempt"
        " AND d.kind = 'CANCEL_PLASTIC' AND d.reason IN ('EXPIRED', 'UNDELIVERABLE', 'MAIL_LOST', 'MISSING'))",
        "'cancelled'",
        "'collected'",
    ),
)


CARD_BREAKS: tuple[tuple[str, str, str, str], ...] = (
    # the same over card_standing k, card c and the effective plastic s
    (
        "OVERDUE",
        "c.due_on < %(day)s AND k.state IN ('WAITING', 'PLANNED', 'ORDERED', 'ACCEPTED', 'MADE', 'KEYED', 'SPOILED',"
        " 'REFUSED') AND " + clock_runs("OVERDUE", "c.bank", "c.factory", "%(hrss)s"),
        "c.due_on::text",
        "'not handed over'",
    ),
    (
        "SECOND_CARD",
        "EXISTS (SELECT FROM holder_event e JOIN acceptance a ON a.person = e.person AND a.card_ref <> c.card_ref"
        " WHERE e.card_ref = c.card_ref AND e.person = c.person AND a.replaces IS DISTINCT FROM c.card_ref)",
        "'one card a person'",
        "(SELECT a.card_ref::text FROM acceptance a WHERE a.person = c.person)",
    ),
    (
        "COLLECTED_NOT_ACTIVATED",
        "k.state = 'NOT_ACTIVATED' AND c.withdrawn IS NULL AND " + clock_runs("COLLECTED_NOT_ACTIVATED", "%(hrss)s"),
        "'SS_ACTIVATED'",
        "'collected only'",
    ),
    (
        "PENSION_AT_RISK",
        "k.pension_risk = 'BANK_SWITCHED' OR k.pension_risk IS NOT NULL AND " + clock_runs("PENSION_AT_RISK", "c.bank"),
        "'FINANCE_ACTIVATED'",
        "k.pension_risk",
    ),
)
