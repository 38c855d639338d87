"""Which plastics have to be cancelled, and why."""

from __future__ import annotations

from issuance.tracking.rule import Rule
from issuance.wire.pauses import paused
from issuance.words.lifecycle import in_states

CANCEL_PLASTIC = Rule(
    "CANCEL_PLASTIC",
    f"""
-- to be cancelled: beside the effective plastic, lost, undeliverable, expired, or of a withdrawn application
SELECT s.card_ref, s.attempt, CASE
           WHEN c.withdrawn IS NOT NULL THEN c.withdrawn
           WHEN s.state = 'REFUSED_BY_HOLDER' THEN 'REFUSED_BY_HOLDER'
           WHEN s.state = 'MAIL_LOST' THEN 'MAIL_LOST'
           WHEN s.state = 'MISSING' THEN 'MISSING'
           WHEN NOT s.effective THEN 'TWO_PLASTICS'
           WHEN s.state = 'RETURNED' THEN 'UNDELIVERABLE'
           ELSE 'EXPIRED' END AS reason
FROM plastic_snapshot s JOIN card c USING (card_ref)
WHERE s.state NOT IN ('DESTROYED', 'SPOILED', 'REFUSED')
  AND (c.withdrawn IS NOT NULL
       OR NOT s.effective AND (s.exists_now OR s.state <> 'PLANNED')
       OR s.state IN ('REFUSED_BY_HOLDER', 'MAIL_LOST', 'MISSING')
       OR s.state = 'RETURNED' AND (c_trips >= 3 OR mark_reason(c_returned) IN ('REFUSED', 'DECEASED'))
       OR {in_states("s.state", "kept")}
          AND shanghai_day(mark_at(s.since_mark)) + %(keep_days)s <= %(day)s
          AND NOT {paused("s.bank", "s.factory", "%(hrss)s")})
""",
)
