"""Which cards get another plastic, and why."""

from __future__ import annotations

from issuance.tracking.rule import Rule
from issuance.wire.pauses import paused
from issuance.words.codes import HOLDER_EVENTS

LACKED = " OR ".join(f"e.event = '{e.name}' AND ({e.remakes})" for e in HOLDER_EVENTS.values() if e.remakes)
"""Whether a holder event (e) that the file of plastic s lacks is a reason to make another one."""


REMAKE = Rule(
    "REMAKE",
    f"""
-- another plastic, when the newest can no longer be collected, is another bank's, or lacks a change
SELECT s.card_ref, s.attempt, coalesce(nullif(CASE s.state
           WHEN 'SPOILED' THEN mark_reason(spoiled) WHEN 'REFUSED' THEN mark_reason(refused)
           WHEN 'REFUSED_BY_HOLDER' THEN mark_reason(refused_by_holder) END, ''), lack.event, s.state) AS reason
FROM plastic_snapshot s JOIN card c USING (card_ref)
CROSS JOIN LATERAL (SELECT CASE WHEN s.attempt > 0 AND taken IS NULL AND s.bank <> bank_wanted THEN 'BANK_SWITCHED'
    WHEN s.ordered_on IS NOT NULL AND taken IS NULL THEN (
        SELECT e.event FROM holder_event e WHERE e.card_ref = s.card_ref AND e.followed_on IS NOT NULL
        AND NOT e.event_no = ANY (coalesce(s.carries, '{{}}')) AND ({LACKED})
        ORDER BY e.occurred_at DESC, e.event_no DESC LIMIT 1) END AS event) lack
WHERE s.newest AND s.effective AND c.withdrawn IS NULL
  AND (s.state IN ('SPOILED', 'REFUSED_BY_HOLDER', 'MAIL_LOST') OR lack.event IS NOT NULL
       OR s.state = 'REFUSED' AND mark_reason(refused) <> 'CANCELLED'
       OR s.state = 'DESTROYED' AND c_id IS NULL
       OR s.state = 'POSTED' AND shanghai_day(mark_at(c_last_news)) + %(lost_after_days)s <= %(day)s
          AND NOT {paused("carrier_of(c_id)")})
  AND NOT EXISTS (SELECT FROM decision d WHERE d.card_ref = s.card_ref AND d.attempt = s.attempt
                  AND d.kind = 'CANCEL_PLASTIC' AND d.reason IN ('EXPIRED', 'UNDELIVERABLE', 'DEATH', 'WITHDRAWN'))
""",
)
