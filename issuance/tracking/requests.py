"""Requests to partners about one plastic: who is asked what next, how each ends, and who is late; table `request`.

A request is open, answered (by a milestone), void (its ground is gone) or waived (by a person, with a note).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from typing import Any

from issuance.breaks.settle import difference, settle
from issuance.ledger.connection import Connection
from issuance.tracking.rule import Rule
from issuance.wire.outbox import Outgoing, in_batches, write_outbox
from issuance.wire.partner_notices import partner_notice
from issuance.words.collection import keeper
from issuance.words.lifecycle import MILESTONES
from issuance.words.lifecycle import REQUESTS as ANSWERS


def answered(request: str) -> str:
    """SQL: whether a milestone has answered this request (q) about plastic p.

    A hand-over answers only when it is newer than the consignment that the request names.
    """
    of_plastic = "(a.card_ref, a.attempt) = (q.card_ref, q.attempt)"
    begun = (
        "SELECT coalesce(b.handed_over, b.sent_back) FROM plastic_in_consignment b"
        " WHERE (b.card_ref, b.attempt, b.consignment_id) = (q.card_ref, q.attempt, q.consignment_id)"
    )
    ways = {
        "plastic": "p.{0} IS NOT NULL",
        "job": "EXISTS (SELECT FROM job j WHERE j.job_id = p.job_id AND j.{0} IS NOT NULL)",
        "plastic_in_consignment": f"EXISTS (SELECT FROM plastic_in_consignment a WHERE {of_plastic}"
        f" AND a.{{0}} > coalesce(({begun}), ''))",
    }
    milestones = [MILESTONES[name] for name in ANSWERS[request][0]]
    found = [ways[milestone.subject].format(milestone.column) for milestone in milestones]
    return "(" + " OR ".join(["false", *found]) + ")"


ANSWERED = "CASE q.kind " + " ".join(f"WHEN '{request}' THEN {answered(request)}" for request in ANSWERS) + " END"
"""Whether a request (q) about plastic p is answered."""
OPEN = f"q.ended_on IS NULL AND NOT {ANSWERED}"
"""Whether a request (q) about plastic p is open; what the last pass has not seen yet counts."""
OF_PLASTIC = "request q JOIN plastic p USING (card_ref, attempt)"

HELD = """
NOT s.dead AND s.taken IS NULL AND coalesce(s.c_received, s.c_sent_back, s.c_returned) IS NOT NULL
AND (s.loss_reported IS NOT NULL
    OR shanghai_day(mark_at(s.loss_reported_temporary)) + %(temporary_loss_days)s > %(day)s
    OR EXISTS (SELECT FROM remake r WHERE (r.card_ref, r.attempt) = (s.card_ref, s.attempt) AND r.ended_on IS NULL
               AND r.ground = 'CHANGED' AND r.reason IN ('ID_CORRECTED', 'NAME_CHANGED')))
"""
"""Whether an uncollected plastic s lies under a loss report, or under an identity event in work."""
STEP = """
CASE WHEN s.unproven IS NOT NULL THEN NULL
     WHEN NOT s.was_made THEN CASE WHEN s.ordered_on IS NOT NULL AND coalesce(s.refused, s.spoiled) IS NULL
                                   THEN 'CANCEL' END
     WHEN s.cancel_reason IS NULL THEN NULL
     WHEN s.ss_cancelled IS NULL THEN 'CANCEL_SS'
     WHEN s.account_cancelled IS NULL AND NOT s.account_kept THEN 'CANCEL_ACCOUNT'
     WHEN s.destroyed IS NULL AND s.has_keeper THEN 'DESTROY' END
"""
"""The enforced order: social security, then the account, then the plastic, each once the one before is dealt with."""

KEEPER = f"""
CASE WHEN s.c_returned IS NOT NULL OR s.c_id IS NULL OR s.c_sent_back IS NOT NULL THEN coalesce(s.factory, s.bank)
     ELSE {keeper("s.bank", column="s.collection_method")} END
"""
"""Who has plastic s, as far as we know."""

REQUEST = Rule(
    "REQUEST",
    f"""
-- the next step of a cancelled or replaced plastic; a hand-over again; what is to be held in store
SELECT s.card_ref, s.attempt, step.request, NULL AS consignment_id, s.why AS reason, step.partner, %(day)s + 7 AS due_on
FROM (SELECT *, coalesce(s.cancel_reason, (SELECT r.ground FROM remake r WHERE (r.card_ref, r.attempt) =
        (s.card_ref, s.attempt) AND r.ended_on IS NULL)) AS why FROM plastic_snapshot s) s
CROSS JOIN LATERAL (SELECT {STEP} AS request) asked
CROSS JOIN LATERAL (SELECT asked.request, CASE asked.request
    WHEN 'CANCEL' THEN s.factory WHEN 'CANCEL_SS' THEN %(hrss)s WHEN 'CANCEL_ACCOUNT' THEN s.bank
    WHEN 'DESTROY' THEN {KEEPER} END AS partner) step
WHERE s.why IS NOT NULL AND step.request IS NOT NULL
UNION ALL
SELECT s.card_ref, s.attempt, 'HAND_OUT', s.c_id, d.reason, coalesce(s.factory, s.bank), %(day)s + 7
FROM plastic_snapshot s JOIN decision d ON d.card_ref = s.card_ref AND d.attempt = s.attempt AND d.kind = 'RESEND'
WHERE s.state IN ('RETURNED', 'SENT_BACK') AND d.consignment_id = s.c_id AND NOT s.dead
UNION ALL
SELECT s.card_ref, s.attempt, 'HOLD', NULL, CASE WHEN coalesce(s.loss_reported, s.loss_reported_temporary) IS NOT NULL
    THEN 'LOSS_REPORTED' ELSE 'CHANGED' END, {KEEPER}, NULL
FROM plastic_snapshot s WHERE {HELD}
""",
    ("partner", "due_on", "request", "consignment_id"),
    "SELECT max(q.asked_on) FROM request q WHERE (q.card_ref, q.attempt, q.kind) = (f.card_ref, f.attempt, f.request)"
    " AND q.consignment_id IS NOT DISTINCT FROM f.consignment_id",
)

SETTLE = f"""
WITH found AS (
    SELECT q.card_ref, q.attempt, q.kind, q.n,
        CASE WHEN {ANSWERED} THEN 'answered' WHEN v.why IS NOT NULL THEN 'void' END AS ending,
        CASE WHEN NOT {ANSWERED} THEN v.why END AS why
    FROM request q JOIN plastic p USING (card_ref, attempt) JOIN plastic_snapshot s USING (card_ref, attempt)
    CROSS JOIN LATERAL (SELECT CASE
        WHEN q.kind = 'HAND_OUT' AND s.cancel_reason IS NOT NULL THEN 'CANCELLED'
        WHEN q.kind = 'HOLD' AND NOT ({HELD}) THEN 'GROUND_GONE'
        WHEN q.kind = 'CANCEL_ACCOUNT' AND s.account_kept THEN 'ACCOUNT_KEPT'
        WHEN q.kind = 'DESTROY' AND NOT s.has_keeper THEN 'NO_KEEPER'
        WHEN q.kind = ANY (%(cancel_order)s) AND s.unproven IS NOT NULL THEN 'WAIVED_BEFORE'
        WHEN q.kind = ANY (%(cancel_order)s) AND s.cancel_reason IS NULL AND NOT EXISTS (SELECT FROM remake r
            WHERE (r.card_ref, r.attempt) = (s.card_ref, s.attempt) AND r.ended_on IS NULL) THEN 'GROUND_GONE'
        END AS why) v
    WHERE q.ending IS DISTINCT FROM 'waived'),
changed AS (
    UPDATE request q SET ending = f.ending, why = f.why, ended_on = CASE WHEN f.ending IS NOT NULL THEN %(day)s END
    FROM found f WHERE (q.card_ref, q.attempt, q.kind, q.n) = (f.card_ref, f.attempt, f.kind, f.n)
    AND (q.ending, q.why) IS DISTINCT FROM (f.ending, f.why) AND NOT (q.ending = 'void' AND f.ending IS NULL)
    RETURNING q.*)
SELECT card_ref, attempt, partner, batch_id, ending FROM changed ORDER BY card_ref, attempt
"""
"""A void request stays void: what is asked again is another request. An answer that was annulled opens it again."""
ASK = f"""
INSERT INTO request (card_ref, attempt, kind, n, reason, partner, consignment_id, asked_on, due_on)
SELECT f.card_ref, f.attempt, f.request, coalesce(o.n, 0) + 1, f.reason, f.partner, f.consignment_id, %(day)s, f.due_on
FROM ({REQUEST.query}) f
LEFT JOIN LATERAL (SELECT q.n, q.ending, q.consignment_id FROM request q
    WHERE (q.card_ref, q.attempt, q.kind) = (f.card_ref, f.attempt, f.request) ORDER BY q.n DESC LIMIT 1) o ON true
WHERE f.partner IS NOT NULL AND (o.n IS NULL OR o.ending = 'void'
      OR o.consignment_id IS DISTINCT FROM f.consignment_id)
ORDER BY f.card_ref, f.attempt, f.request
"""

KIND = "REQUEST_OVERDUE"
REFERENCE = "concat_ws(' ', q.card_ref || '/' || q.attempt, concat_ws(':', q.kind, q.consignment_id))"
OVERDUE = f"""
SELECT {
    difference(
        f"'{KIND}'",
        reference=REFERENCE,
        expected="'an answer by ' || q.due_on",
        actual="'none'",
        cohort_no="c.cohort_no",
        card_ref="q.card_ref",
        attempt="q.attempt",
        answers_for="q.partner",
        waits_on="q.partner",
    )
}
FROM {OF_PLASTIC} JOIN card c USING (card_ref)
WHERE q.due_on < %(day)s AND {OPEN}
"""
PLASTICS = "array_agg(ARRAY[q.card_ref::text, q.attempt::text] ORDER BY q.card_ref, q.attempt)"
UNSENT = f"""
SELECT partner, kind, n, reason, due_on, {PLASTICS} FROM request q
WHERE batch_id IS NULL AND ended_on IS NULL AND card_ref IN (SELECT card_ref FROM work) GROUP BY 1, 2, 3, 4, 5
ORDER BY 1, 2, 3, 4, 5
"""
ASKED_AGAIN = f"""
SELECT q.partner, q.batch_id, q.kind, min(q.reason), min(q.due_on), {PLASTICS}
FROM break b JOIN request q ON q.batch_id IS NOT NULL AND q.ended_on IS NULL
  AND (q.card_ref, q.attempt) = (b.card_ref, b.attempt) AND b.reference = {REFERENCE}
WHERE b.kind = '{KIND}' AND b.closed_on IS NULL GROUP BY 1, 2, 3
"""


def settle_requests(connection: Connection, values: Mapping[str, Any]) -> int:
    """End and open the requests of the cards in the snapshot, and ask what is to be asked next; returns how many.

    A partner that was asked for what is void now is told so (WITHDRAWN_REQUEST).
    """
    rows = connection.execute(SETTLE, values).fetchall()
    withdraw_requests(connection, [row for row in rows if row[4] == "void"], values["day"])
    return len(rows) + connection.execute(ASK, values).rowcount


def withdraw_requests(connection: Connection, rows: Iterable[Sequence[Any]], day: date) -> None:
    """Tell partners which of the plastics that they were asked about are no longer meant; rows begin with (card_ref,
    attempt, partner, batch_id)."""
    by_batch: dict[tuple[str, str], list[tuple[str, int]]] = defaultdict(list)
    for ref, attempt, partner, batch_id, *_ in rows:
        if batch_id:
            by_batch[partner, batch_id].append((str(ref), int(attempt)))
    told = [
        partner_notice(
            partner, "WITHDRAWN_REQUEST", None, {"request_id": request_id, "plastics": _named(plastics)},
            f"{request_id}/{plastics[0][0]}/withdrawn",
        )
        for (partner, request_id), plastics in sorted(by_batch.items())
    ]  # fmt: skip
    write_outbox(connection, told, day)


def _named(plastics: Sequence[tuple[str, int]]) -> list[dict[str, Any]]:
    return [{"card_ref": ref, "attempt": attempt} for ref, attempt in plastics]


def send_requests(connection: Connection, day: date) -> None:
    """Send the new requests about cards in `work`, up to 1,000 plastics per notice; a request keeps the id under
    which it was sent."""
    for partner, kind, n, reason, due_on, plastics in connection.execute(UNSENT).fetchall():
        for batch in in_batches([(ref, int(attempt)) for ref, attempt in plastics]):
            request_id = f"{day}.{kind}.{reason}.{batch[0][0]}.{batch[0][1]}" + (f".{n}" if n > 1 else "")
            write_outbox(connection, [request_notice(partner, request_id, kind, reason, due_on, batch)], day)
            connection.execute(
                "UPDATE request q SET batch_id = %s FROM unnest(%s::uuid[], %s::smallint[]) AS p (card_ref, attempt)"
                " WHERE (q.card_ref, q.attempt) = (p.card_ref, p.attempt) AND (q.kind, q.n) = (%s, %s)",
                (request_id, [ref for ref, _ in batch], [attempt for _, attempt in batch], kind, n),
            )


def request_notice(
    partner: str, request_id: str, request: str, reason: str, due_on: date | None, plastics: Sequence[tuple[str, int]],
    again: str = "",
) -> Outgoing:  # fmt: skip
    """A request; `again` names the occasion on which it is repeated under the same id."""
    values = {
        "request_id": request_id,
        "request": request,
        "reason": reason,
        "due_on": due_on,
        "plastics": _named(plastics),
    }
    return partner_notice(partner, "REQUESTED", None, values, request_id + again)


def watch_requests(connection: Connection, day: date) -> int:
    """A break for every request unanswered past its due day; it closes when the answer arrives, or it is waived.

    The partner is asked once more, under the same request_id.
    """
    turned = settle(connection, day, [KIND], OVERDUE, {"day": day})
    again = [
        request_notice(partner, request_id, request, reason, due_on, [(r, int(n)) for r, n in plastics], "/overdue")
        for partner, request_id, request, reason, due_on, plastics in connection.execute(ASKED_AGAIN).fetchall()
    ]
    return turned + write_outbox(connection, again, day)
