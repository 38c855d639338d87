-- Tracking in full: numbers that are used again, letters that come back under another number, cards that are replaced.
-- depends: 0005-retention

-- Whether a mail event (or hand-over) belongs to a hand-over: they lie within six months of each other (contract).
CREATE FUNCTION same_use(mark text, handed_over text) RETURNS boolean LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN abs(left(mark, 13)::bigint - left(handed_over, 13)::bigint) <= 184 * 86400000::bigint;
-- The mail item under which a returned letter travels back, by the number that its return names; NULL: by its own.
CREATE FUNCTION return_item(consignment_id text, returned text) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN 'M:' || split_part(consignment_id, ':', 2) || ':' || (mark_content(returned) ->> 'return_tracking_no');

-- The mark of what somebody decided on a business day: its last millisecond.
CREATE FUNCTION mark_of_day(day date, reason text) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN lpad((extract(epoch FROM (day + 1)::timestamp AT TIME ZONE 'Asia/Shanghai') * 1000 - 1)::bigint::text, 13, '0')
        || '|' || reason || '|';

-- The facts of a number lie more than six months apart: its row mixes letters, `letter_news` tells them apart.
ALTER TABLE consignment ADD COLUMN used_again boolean NOT NULL DEFAULT false;
CREATE INDEX consignment_return ON consignment (return_item(consignment_id, returned))
    WHERE return_item(consignment_id, returned) IS NOT NULL;

-- Consignments to be looked at on or after a day; merging only adds, the clocks take and lay back.
CREATE TABLE changed_consignment (consignment_id text COLLATE "C" NOT NULL, look_on date NOT NULL);
INSERT INTO changed_consignment
SELECT DISTINCT consignment_id, '-infinity'::date FROM carriage UNION SELECT consignment_id, '-infinity' FROM consignment;

-- A plastic in a consignment, with the news of the mail item if it is one.
CREATE VIEW letter_news AS
SELECT a.card_ref, a.attempt, a.consignment_id, a.handed_over, a.received_at_place, a.sent_back,
    CASE WHEN m.used_again THEN u.posted ELSE m.posted END AS posted,
    CASE WHEN m.used_again THEN u.in_transit ELSE m.in_transit END AS in_transit,
    CASE WHEN m.used_again THEN u.out_for_delivery ELSE m.out_for_delivery END AS out_for_delivery,
    CASE WHEN m.used_again THEN u.at_pickup_point ELSE m.at_pickup_point END AS at_pickup_point,
    CASE WHEN m.used_again THEN u.delivery_failed ELSE m.delivery_failed END AS delivery_failed,
    CASE WHEN m.used_again THEN u.delivered ELSE m.delivered END AS delivered,
    CASE WHEN m.used_again THEN u.returned ELSE m.returned END AS returned,
    CASE WHEN m.used_again THEN u.lost ELSE m.lost END AS lost,
    a.conflict OR CASE WHEN m.used_again THEN u.conflict ELSE coalesce(m.conflict, false) END AS conflict
FROM carriage a
LEFT JOIN consignment m USING (consignment_id)
LEFT JOIN LATERAL (
    SELECT min(mark) FILTER (WHERE milestone = 'POSTED') AS posted,
        max(mark) FILTER (WHERE milestone = 'IN_TRANSIT') AS in_transit,
        max(mark) FILTER (WHERE milestone = 'OUT_FOR_DELIVERY') AS out_for_delivery,
        max(mark) FILTER (WHERE milestone = 'AT_PICKUP_POINT') AS at_pickup_point,
        max(mark) FILTER (WHERE milestone = 'DELIVERY_FAILED') AS delivery_failed,
        min(mark) FILTER (WHERE milestone = 'DELIVERED') AS delivered,
        min(mark) FILTER (WHERE milestone = 'RETURNED') AS returned,
        min(mark) FILTER (WHERE milestone = 'LOST') AS lost,
        coalesce(min(mark) FILTER (WHERE milestone = 'POSTED') <> max(mark) FILTER (WHERE milestone = 'POSTED')
            OR min(mark) FILTER (WHERE milestone = 'DELIVERED') <> max(mark) FILTER (WHERE milestone = 'DELIVERED')
            OR min(mark) FILTER (WHERE milestone = 'RETURNED') <> max(mark) FILTER (WHERE milestone = 'RETURNED')
            OR min(mark) FILTER (WHERE milestone = 'LOST') <> max(mark) FILTER (WHERE milestone = 'LOST'), false)
            AS conflict
    FROM fact f
    WHERE m.used_again AND f.consignment_id = a.consignment_id AND f.subject = 'mail' AND NOT f.corrects
      AND same_use(f.mark, a.handed_over)
      -- between two hand-overs of the number, the nearer one's
      AND NOT EXISTS (SELECT FROM carriage o WHERE o.consignment_id = a.consignment_id
          AND abs(left(f.mark, 13)::bigint - left(o.handed_over, 13)::bigint)
            < abs(left(f.mark, 13)::bigint - left(a.handed_over, 13)::bigint))
      AND NOT EXISTS (SELECT FROM fact k WHERE k.consignment_id = f.consignment_id AND k.subject = 'mail'
          AND k.corrects AND k.milestone = f.milestone AND left(k.mark, 13) = left(f.mark, 13))
) u ON true;

-- The card of the same person in whose place this one was accepted, as it was then.
ALTER TABLE card ADD COLUMN replaces uuid;
CREATE INDEX card_replaces ON card (replaces) WHERE replaces IS NOT NULL;
