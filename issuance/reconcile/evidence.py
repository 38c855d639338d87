"""The evidence of a break from both sides: partners' reports and statements, and our orders, decisions and comparisons.

References only. A fact is shown with its reporter and report; corrections, and what they annul, stay visible.
"""

from __future__ import annotations

from typing import Any

from issuance.breaks.listing import find_break, history_of
from issuance.ledger.connection import Connection
from issuance.ledger.queries import rows_of
from issuance.reconcile.activation import LATEST

MILESTONES_OF: dict[str, tuple[str, ...]] = {
    # kind: the milestones that are evidence for or against it; a kind that is not listed: all of the plastic
    "TWO_PLASTICS": ("MADE", "ISSUED_INSTANTLY", "COLLECTED", "SS_ACTIVATED", "SPOILED", "DESTROYED"),
    "ACTIVATED_NOT_COLLECTED": ("COLLECTED", "DELIVERED", "ISSUED_INSTANTLY", "SS_ACTIVATED"),
    "COLLECTED_NOT_ACTIVATED": ("COLLECTED", "DELIVERED", "ISSUED_INSTANTLY", "SS_ACTIVATED"),
    "FINANCE_ALONE": ("FINANCE_ACTIVATED", "SS_ACTIVATED"),
    "PENSION_AT_RISK": ("COLLECTED", "DELIVERED", "SS_ACTIVATED", "FINANCE_ACTIVATED", "ACCOUNT_CANCELLED"),
    "ACTIVATED_DEAD": ("SS_ACTIVATED", "DESTROYED", "LOSS_REPORTED", "SS_CANCELLED"),
    "OLD_CARD_USED": ("SS_ACTIVATED", "OLD_CARD_LAPSED", "OLD_CARD_USED"),
    "MADE_NOT_ORDERED": ("MADE", "DESTROYED"),
    "MADE_BEYOND_ORDER": ("ITEM_ACCEPTED", "ITEM_REFUSED", "MADE", "DESTROYED", "JOB_ACCEPTED", "JOB_REFUSED"),
    "STATEMENT_UNKNOWN": ("SS_ACTIVATED", "SS_CANCELLED", "FINANCE_ACTIVATED", "ACCOUNT_CANCELLED"),
    "STATEMENT_MISSING": ("SS_ACTIVATED", "SS_CANCELLED", "FINANCE_ACTIVATED", "ACCOUNT_CANCELLED"),
}
OF_ALL_PLASTICS = frozenset({"TWO_PLASTICS", "PENSION_AT_RISK"})
"""Kinds whose evidence is on the card's other plastics too."""

FACTS = """
SELECT f.subject, f.card_ref, f.attempt, f.consignment_id, f.job_id, f.milestone, mark_at(f.mark) AS occurred_at,
       nullif(mark_reason(f.mark), '') AS reason, mark_content(f.mark) ->> 'serial' AS serial,
       (mark_content(f.mark) ->> 'handover_count')::int AS handover_count, f.corrects, r.partner, r.report_id,
       f.arrived_on
FROM fact f JOIN report r USING (report_no)
WHERE (f.card_ref = %(card)s AND (%(attempt)s::smallint IS NULL OR f.attempt = %(attempt)s)
       OR f.consignment_id = %(reference)s OR f.job_id = %(reference)s
       OR f.subject = 'mail' AND f.consignment_id IN (
           SELECT consignment_id FROM plastic_in_consignment WHERE card_ref = %(card)s)
       OR f.subject = 'job' AND f.job_id IN (SELECT job_id FROM plastic WHERE card_ref = %(card)s
                                             AND (%(attempt)s::smallint IS NULL OR attempt = %(attempt)s)))
  AND (%(milestones)s::text[] IS NULL OR f.milestone = ANY (%(milestones)s))
ORDER BY f.mark, f.milestone, f.report_no
"""
REFUSED = """
SELECT partner, report_id, item, code, card_ref, attempt, milestone, corrects, reported_at AS occurred_at, arrived_on
FROM refused_item WHERE card_ref = %(card)s AND attempt = %(attempt)s AND partner = %(answers_for)s
ORDER BY arrived_on, report_id, item
"""
STATED = f"""
SELECT l.partner, l.function, l.statement_id, l.revision, l.business_day, l.as_of, EXISTS (
    SELECT FROM statement_chunk k JOIN LATERAL unnest(k.cards, k.attempts) i (card_ref, attempt) ON true
    WHERE (k.partner, k.statement_id, k.revision) = (l.partner, l.statement_id, l.revision)
    AND (i.card_ref, i.attempt) = (%(card)s, %(attempt)s)) AS listed
FROM (SELECT s.*, t.business_day FROM ({LATEST}) s JOIN statement t USING (partner, statement_id, revision)) l
WHERE (l.partner, l.function) = (%(answers_for)s, %(function)s) AND %(card)s::uuid IS NOT NULL
"""
CHUNKS = """
SELECT partner, function, statement_id, revision, business_day, array_agg(chunk ORDER BY chunk) AS chunks,
       max(chunks) AS of, bool_or(s.completed_on IS NOT NULL) AS complete
FROM statement_chunk k LEFT JOIN statement s USING (partner, statement_id, revision, function, business_day)
WHERE (partner, function) = (%(answers_for)s, %(function)s) AND %(card)s::uuid IS NULL
GROUP BY 1, 2, 3, 4, 5 ORDER BY business_day DESC, revision DESC LIMIT 5
"""
EVENTS = """
SELECT event, source, event_id, occurred_at, followed_on FROM holder_event WHERE card_ref = %(card)s
ORDER BY occurred_at, event_id
"""
STREAMS = (
    "SELECT partner, stream, seen::text, asked::text FROM partner_stream WHERE partner || '/' || stream = %(reference)s"
)
ORDERS = """
SELECT p.attempt, p.bank, p.factory, p.job_id, s.sent_on, j.due_on, j.cancelled_on
FROM plastic p LEFT JOIN job j USING (job_id) LEFT JOIN sealed_job s USING (job_id)
WHERE p.card_ref = %(card)s ORDER BY attempt
"""
JOBS = """
SELECT job_id, bank, factory, card_count, due_on, s.sent_on, s.resent, cancelled_on
FROM job LEFT JOIN sealed_job s USING (job_id) WHERE job_id = %(reference)s
"""
DECISIONS = """
SELECT attempt, kind, occasion, reason, business_day, decided_by FROM decision
WHERE card_ref = %(card)s AND (%(attempt)s::smallint IS NULL OR attempt = %(attempt)s)
ORDER BY business_day, attempt, kind, occasion
"""
REMAKES = """
SELECT attempt, made, ground, reason, begun_on, decided_by, ending, ended_on FROM remake
WHERE card_ref = %(card)s AND (%(attempt)s::smallint IS NULL OR %(attempt)s IN (attempt, made)) ORDER BY made
"""
REQUESTS = """
SELECT attempt, kind, reason, partner, asked_on, due_on, coalesce(ending, 'open') AS state, ended_on, why FROM request
WHERE card_ref = %(card)s AND (%(attempt)s::smallint IS NULL OR attempt = %(attempt)s)
ORDER BY asked_on, attempt, kind, n
"""
CARD = """
SELECT cohort_id, c.state, since, effective AS plastic, bank, factory, due_on, collection_method, withdrawn
FROM card c JOIN cohort USING (cohort_no) WHERE card_ref = %(card)s
"""
THEIRS = {"facts": FACTS, "refused items": REFUSED, "statements": STATED, "chunks": CHUNKS, "holder events": EVENTS,
          "sequences": STREAMS}  # fmt: skip
OURS = {"card": CARD, "orders": ORDERS, "jobs": JOBS, "decisions": DECISIONS, "remakes": REMAKES, "requests": REQUESTS}


def show_break(connection: Connection, break_id: str) -> dict[str, Any]:
    """A break with the evidence from both sides and its history; sides without an entry are left out.

    Raises:
        Refused: there is no such break.
    """
    found = find_break(connection, break_id)
    kind = found["kind"]
    milestones = MILESTONES_OF.get(kind)
    values = {
        "card": found["card_ref"],
        "attempt": None if kind in OF_ALL_PLASTICS else found["attempt"],
        "reference": found["reference"],
        "answers_for": found["answers_for"],
        "function": found["function"],
        "milestones": list(milestones) if milestones else None,
    }
    return found | {
        "theirs": _side(connection, THEIRS, values),
        "ours": _side(connection, OURS, values),
        "history": history_of(connection, break_id),
    }


def _side(connection: Connection, queries: dict[str, str], values: dict[str, Any]) -> dict[str, list[dict[str, Any]]]:
    rows = {name: rows_of(connection, query, values) for name, query in queries.items()}
    return {name: found for name, found in rows.items() if found}
