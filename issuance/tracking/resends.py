"""Which plastics are handed over again: a returned letter, or one that was sent back and applied for a second time."""

from __future__ import annotations

from issuance.tracking.rule import Rule

RESEND = Rule(
    "RESEND",
    """
-- a returned letter goes out again, twice at the most; what was sent back to the store, on a second application
SELECT s.card_ref, s.attempt, s.c_id AS occasion, s.c_id AS consignment_id,
       CASE s.state WHEN 'SENT_BACK' THEN 'SECOND_APPLICATION' ELSE mark_reason(c_returned) END AS reason
FROM plastic_snapshot s
WHERE s.effective AND (s.state = 'RETURNED' AND c_trips < 3
           AND mark_reason(c_returned) NOT IN ('REFUSED', 'DECEASED')
       OR s.state = 'SENT_BACK' AND EXISTS (SELECT FROM holder_event e WHERE e.card_ref = s.card_ref
           AND e.event = 'SECOND_APPLICATION' AND NOT e.annulled AND e.occurred_at > mark_at(c_sent_back)))
  AND s.cancel_reason IS NULL
  AND NOT EXISTS (SELECT FROM remake r WHERE (r.card_ref, r.attempt) = (s.card_ref, s.attempt) AND r.ended_on IS NULL)
""",
    ("occasion", "consignment_id"),
)
