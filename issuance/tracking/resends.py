"""Which plastics are handed over again: a returned letter, or what was sent back and applied for a second time."""

from __future__ import annotations

RESEND = """
-- a returned letter goes out again, twice at the most; what was sent back to the store, on a second application
SELECT card_ref, attempt, 'RESEND', c_id,
       CASE state WHEN 'SENT_BACK' THEN 'SECOND_APPLICATION' ELSE mark_reason(c_returned) END, NULL, NULL::date
FROM standing
WHERE effective AND (state = 'RETURNED' AND c_trips < 3 AND mark_reason(c_returned) NOT IN ('REFUSED', 'DECEASED')
       OR state = 'SENT_BACK' AND EXISTS (SELECT FROM holder_event e WHERE e.card_ref = standing.card_ref
           AND e.event = 'SECOND_APPLICATION' AND e.occurred_at > mark_at(c_sent_back)))
  AND NOT EXISTS (SELECT FROM decision d WHERE d.card_ref = standing.card_ref AND d.attempt = standing.attempt
                  AND d.kind IN ('CANCEL_PLASTIC', 'REMAKE'))
"""
