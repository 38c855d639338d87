"""What holders are told, and when."""

from __future__ import annotations

from issuance.tracking.cancellations import in_force
from issuance.tracking.rule import Rule
from issuance.wire.pauses import paused
from issuance.words.lifecycle import in_states

NOTICE = Rule(
    "NOTICE",
    f"""
-- what to tell the holder; nothing after a death, nor about a plastic that is to be cancelled
SELECT k.card_ref, CASE told.template WHEN 'RECEIVED' THEN 0 ELSE coalesce(k.effective, 0) END AS attempt,
       concat_ws(':', told.template, told.consignment_id, told.detail) AS occasion, told.template AS reason,
       told.consignment_id
FROM card_snapshot k JOIN card c ON c.card_ref = k.card_ref
LEFT JOIN plastic_snapshot s ON s.card_ref = k.card_ref AND s.effective
LEFT JOIN LATERAL (
    SELECT true AS ended FROM decision d WHERE (d.card_ref, d.attempt, d.kind) = (s.card_ref, s.attempt,
        'CANCEL_PLASTIC') AND {in_force("c.withdrawn", "s.ss_cancelled")} LIMIT 1
) cancelled ON true
CROSS JOIN LATERAL (
    SELECT 'RECEIVED' AS template, NULL AS consignment_id, NULL AS detail
        WHERE k.state IN ('WAITING', 'PLANNED', 'ORDERED') AND coalesce(k.effective, 1) = 1
    UNION ALL SELECT 'READY', s.c_id, NULL WHERE k.state = 'AT_PLACE'
    UNION ALL SELECT 'POSTED', s.c_id, NULL WHERE k.state = 'POSTED'
    UNION ALL SELECT 'PICKUP', s.c_id, NULL WHERE k.state = 'POSTED' AND s.c_last_news = s.c_at_pickup_point
    UNION ALL SELECT 'RETURNED', s.c_id, NULL WHERE k.state = 'RETURNED'
    UNION ALL SELECT CASE WHEN m.reason IN ('NAME_WRONG', 'PHOTO_WRONG', 'NUMBER_WRONG', 'PHOTO_UNUSABLE',
            'CHARACTER_NOT_PRINTABLE') THEN 'CORRECTION' ELSE 'REMADE' END, NULL, NULL
        FROM remake m WHERE k.state = 'PLANNED' AND (m.card_ref, m.made) = (k.card_ref, k.effective)
    UNION ALL SELECT 'REMINDER', s.c_id, days::text FROM unnest(%(reminder_days)s::int[]) days
        WHERE k.state = 'AT_PLACE' AND shanghai_day(mark_at(k.since_mark)) + days = (
            SELECT max(shanghai_day(mark_at(k.since_mark)) + d) FROM unnest(%(reminder_days)s::int[]) d
            WHERE shanghai_day(mark_at(k.since_mark)) + d <= %(day)s)
    UNION ALL SELECT 'ACTIVATE', NULL, NULL WHERE k.state = 'COLLECTED'
    UNION ALL SELECT 'OLD_CARD_STOPS', NULL, NULL WHERE k.state = 'ACTIVE' AND c.kind <> 'first'
    UNION ALL SELECT 'CANCELLED', NULL, NULL WHERE k.state IN ('CANCELLED', 'DESTROYED')
    UNION ALL SELECT 'PENSION_AT_RISK', NULL, k.pension_risk
        WHERE k.pension_risk IS NOT NULL AND {in_states("k.state", "in_hand")}
        AND (k.pension_risk <> 'FINANCE_INACTIVE' OR NOT {paused("s.bank")})
) told
WHERE c.withdrawn IS DISTINCT FROM 'DEATH' AND (told.template = 'CANCELLED') = (ended IS NOT NULL)
""",
    ("occasion", "consignment_id"),
)
