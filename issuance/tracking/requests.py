"""Requests to partners about one plastic: who is asked what next, whether it is answered, and who is late."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

from issuance.breaks.settle import difference, settle
from issuance.ledger.connection import Connection
from issuance.tracking.rule import Rule
from issuance.wire.outbox import Outgoing, in_batches, write_outbox
from issuance.wire.partner_notices import partner_notice
from issuance.words.collection import keeper
from issuance.words.lifecycle import KEEPING, MILESTONES
from issuance.words.lifecycle import REQUESTS as ANSWERS


def answered(request: str) -> str:
    """SQL: whether a milestone has answered this request (decision d) about plastic p.

    A hand-over answers only when it is newer than the consignment that the request names.
    """
    of_plastic = "(a.card_ref, a.attempt) = (d.card_ref, d.attempt)"
    begun = (
        "SELECT coalesce(b.handed_over, b.sent_back) FROM plastic_in_consignment b"
        " WHERE (b.card_ref, b.attempt, b.consignment_id) = (d.card_ref, d.attempt, d.consignment_id)"
    )
    ways = {
        "plastic": "p.{0} IS NOT NULL",
        "job": "EXISTS (SELECT FROM job j WHERE j.job_id = p.job_id AND j.{0} IS NOT NULL)",
        "plastic_in_consignment": f"EXISTS (SELECT FROM plastic_in_consignment a WHERE {of_plastic}"
        f" AND a.{{0}} > coalesce(({begun}), ''))",
    }
    milestones = [MILESTONES[name] for name in ANSWERS[request][0]]
    found = [ways[milestone.subject].format(milestone.column) for milestone in milestones]
    if request in KEEPING:
        found.append(
            "EXISTS (SELECT FROM decision k WHERE (k.card_ref, k.attempt) = (d.card_ref, d.attempt)"
            " AND k.kind = 'CANCEL_PLASTIC')"
        )
    return "(" + " OR ".join(found) + ")"


UNANSWERED = (
    "NOT CASE d.request " + " ".join(f"WHEN '{request}' THEN {answered(request)}" for request in ANSWERS) + " END"
)
"""Whether a request (decision d) about plastic p is unanswered."""

REQUEST = Rule(
    "REQUEST",
    f"""
-- the enforced order: social security, then the account, then the plastic; each is asked once the previous is reported
SELECT s.card_ref, s.attempt, step.request AS occasion, step.request, NULL AS consignment_id, d.reason, step.partner,
       %(day)s + 7 AS due_on
FROM plastic_snapshot s
JOIN decision d ON d.card_ref = s.card_ref AND d.attempt = s.attempt AND d.kind = 'CANCEL_PLASTIC'
CROSS JOIN LATERAL (SELECT
    CASE WHEN made IS NULL AND issued_instantly IS NULL THEN
              CASE WHEN ordered_on IS NOT NULL AND refused IS NULL AND spoiled IS NULL THEN 'CANCEL' END
         WHEN ss_cancelled IS NULL THEN 'CANCEL_SS'
         WHEN account_cancelled IS NULL THEN 'CANCEL_ACCOUNT'
         WHEN destroyed IS NULL AND taken IS NULL AND exists_now THEN 'DESTROY' END AS request) asked
CROSS JOIN LATERAL (SELECT asked.request, CASE asked.request
    WHEN 'CANCEL' THEN s.factory WHEN 'CANCEL_SS' THEN %(hrss)s WHEN 'CANCEL_ACCOUNT' THEN s.bank
    WHEN 'DESTROY' THEN CASE
        WHEN c_returned IS NOT NULL OR c_id IS NULL OR c_sent_back IS NOT NULL THEN coalesce(s.factory, s.bank)
        ELSE {keeper("s.bank", column="s.collection_method")} END END AS partner) step
WHERE step.request IS NOT NULL
UNION ALL
SELECT s.card_ref, s.attempt, 'HAND_OUT:' || s.c_id, 'HAND_OUT', s.c_id, d.reason, coalesce(s.factory, s.bank),
       %(day)s + 7
FROM plastic_snapshot s JOIN decision d ON d.card_ref = s.card_ref AND d.attempt = s.attempt AND d.kind = 'RESEND'
WHERE s.state IN ('RETURNED', 'SENT_BACK') AND d.consignment_id = s.c_id
""",
    ("occasion", "partner", "due_on", "request", "consignment_id"),
)

KIND = "REQUEST_OVERDUE"
REFERENCE = "d.card_ref || '/' || d.attempt || ' ' || d.occasion"
OVERDUE = f"""
SELECT {
    difference(
        f"'{KIND}'",
        reference=REFERENCE,
        expected="'an answer by ' || d.due_on",
        actual="'none'",
        cohort_no="c.cohort_no",
        card_ref="d.card_ref",
        attempt="d.attempt",
        answers_for="d.partner",
        waits_on="d.partner",
    )
}
FROM decision d JOIN card c USING (card_ref) JOIN plastic p USING (card_ref, attempt)
WHERE d.kind = 'REQUEST' AND d.due_on < %(day)s AND {UNANSWERED}
"""
PLASTICS = "array_agg(ARRAY[d.card_ref::text, d.attempt::text] ORDER BY d.card_ref, d.attempt)"
UNSENT = f"""
SELECT partner, request, reason, due_on, {PLASTICS} FROM decision d
WHERE kind = 'REQUEST' AND batch_id IS NULL AND card_ref IN (SELECT card_ref FROM work) GROUP BY 1, 2, 3, 4
ORDER BY 1, 2, 3, 4
"""
ASKED_AGAIN = f"""
SELECT d.partner, d.batch_id, d.request, min(d.reason), min(d.due_on), {PLASTICS}
FROM break b JOIN decision d ON d.kind = 'REQUEST' AND d.batch_id IS NOT NULL
  AND (d.card_ref, d.attempt) = (b.card_ref, b.attempt) AND b.reference = {REFERENCE}
WHERE b.kind = '{KIND}' AND b.closed_on IS NULL GROUP BY 1, 2, 3
"""


def send_requests(connection: Connection, day: date) -> None:
    """Send the new requests about cards in `work`, up to 1,000 plastics per notice; a decision keeps the id under
    which it was sent."""
    for partner, request, reason, due_on, plastics in connection.execute(UNSENT).fetchall():
        for batch in in_batches([(ref, int(attempt)) for ref, attempt in plastics]):
            request_id = f"{day}.{request}.{reason}.{batch[0][0]}.{batch[0][1]}"
            write_outbox(connection, [request_notice(partner, request_id, request, reason, due_on, batch)], day)
            connection.execute(
                "UPDATE decision d SET batch_id = %s FROM unnest(%s::uuid[], %s::smallint[]) AS p (card_ref, attempt)"
                " WHERE (d.card_ref, d.attempt) = (p.card_ref, p.attempt) AND d.kind = 'REQUEST' AND d.batch_id IS NULL"
                " AND d.request = %s",
                (request_id, [ref for ref, _ in batch], [attempt for _, attempt in batch], request),
            )


def request_notice(
    partner: str, request_id: str, request: str, reason: str, due_on: date, plastics: Sequence[tuple[str, int]],
    again: str = "",
) -> Outgoing:  # fmt: skip
    """A request; `again` names the occasion on which it is repeated under the same id."""
    values = {
        "request_id": request_id,
        "request": request,
        "reason": reason,
        "due_on": due_on,
        "plastics": [{"card_ref": ref, "attempt": attempt} for ref, attempt in plastics],
    }
    return partner_notice(partner, "REQUESTED", None, values, request_id + again)


def watch_requests(connection: Connection, day: date) -> int:
    """A break for every request unanswered past its due day; it closes when the answer arrives.

    The partner is asked once more, under the same request_id.
    """
    turned = settle(connection, day, [KIND], OVERDUE, {"day": day})
    again = [
        request_notice(partner, request_id, request, reason, due_on, [(r, int(n)) for r, n in plastics], "/overdue")
        for partner, request_id, request, reason, due_on, plastics in connection.execute(ASKED_AGAIN).fetchall()
    ]
    return turned + write_outbox(connection, again, day)
