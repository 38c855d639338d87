-- What was packed into texts has columns or one function: consignment ids, requests, who answers for a break.
-- depends: 0007-reconcile

-- A consignment is 'H:hand-over id' or 'M:carrier:tracking number'. Nobody else takes an id apart or puts one together.
CREATE FUNCTION hand_over_id(handover_id text) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN 'H:' || handover_id;
CREATE FUNCTION mail_item_id(carrier text, tracking_no text) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN 'M:' || carrier || ':' || tracking_no;
CREATE FUNCTION is_mail_item(consignment_id text) RETURNS boolean LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN left(consignment_id, 2) = 'M:';
CREATE FUNCTION carrier_of(consignment_id text) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN CASE WHEN left(consignment_id, 2) = 'M:' THEN split_part(consignment_id, ':', 2) END;
CREATE FUNCTION tracking_no_of(consignment_id text) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN CASE WHEN left(consignment_id, 2) = 'M:' THEN substr(consignment_id, 4 + length(split_part(consignment_id, ':', 2))) END;

-- Tables by their names of the trade.
ALTER TABLE carriage RENAME TO plastic_in_consignment;
UPDATE fact SET subject = 'plastic_in_consignment' WHERE subject = 'carriage';
ALTER TABLE partner_standing RENAME TO partner_state;

-- What is asked (lifecycle.REQUESTS), and the consignment that a decision is about; `occasion` is its identity only.
ALTER TABLE decision ADD COLUMN request text, ADD COLUMN consignment_id text COLLATE "C";
UPDATE decision SET request = split_part(occasion, ':', 1), consignment_id = nullif(substr(occasion, 10), '')
WHERE kind = 'REQUEST';
UPDATE decision SET consignment_id = occasion WHERE kind = 'RESEND';

-- The partner who has to explain a break, as the rule that found it says; the function of a statement.
ALTER TABLE break ADD COLUMN answers_for text, ADD COLUMN function text;

-- Whose package a refused announcement was of.
ALTER TABLE dead_letter ADD COLUMN cohort_id text;
