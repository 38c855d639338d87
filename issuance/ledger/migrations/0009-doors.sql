-- Doors that no value breaks: windows of time, hand-overs by their giver, faults of ours, messages as they came.
-- depends: 0008-house

-- The instant with which a Shanghai day begins.
CREATE FUNCTION begin_of(day date) RETURNS timestamptz LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN day::timestamp AT TIME ZONE 'Asia/Shanghai';

-- A hand-over is known by its giver and the giver's id: two factories may both use HO-1.
DROP FUNCTION hand_over_id(text);
CREATE FUNCTION hand_over_id(giver text, handover_id text) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN 'H:' || giver || ':' || handover_id;
CREATE TEMP TABLE renamed ON COMMIT DROP AS
SELECT consignment_id AS old, hand_over_id(coalesce(
    (SELECT r.partner FROM fact f JOIN report r USING (report_no)
     WHERE f.consignment_id = c.consignment_id AND f.milestone IN ('HANDED_OVER', 'SENT_BACK')
     ORDER BY f.mark LIMIT 1),
    (SELECT p.factory FROM plastic_in_consignment x JOIN plastic p USING (card_ref, attempt)
     WHERE x.consignment_id = c.consignment_id AND p.factory IS NOT NULL ORDER BY 1 LIMIT 1),
    ''), substr(consignment_id, 3)) AS new
FROM (SELECT consignment_id FROM plastic_in_consignment UNION SELECT consignment_id FROM consignment) c
WHERE left(consignment_id, 2) = 'H:';
UPDATE fact SET consignment_id = new FROM renamed WHERE consignment_id = old;
UPDATE plastic_in_consignment SET consignment_id = new FROM renamed WHERE consignment_id = old;
UPDATE consignment SET consignment_id = new FROM renamed WHERE consignment_id = old;
UPDATE changed_consignment SET consignment_id = new FROM renamed WHERE consignment_id = old;
UPDATE decision SET occasion = replace(occasion, old, new), consignment_id = new FROM renamed WHERE consignment_id = old;
UPDATE break SET reference = replace(reference, old, new) FROM renamed WHERE reference IN (old, card_ref || '/' || old);

-- Faults of ours, or doors that a person must open again: each is a break while it stands.
CREATE TABLE fault (
    kind text NOT NULL CHECK (kind IN
        ('UNPROCESSABLE', 'TOPIC_CHANGED', 'PARTNER_HELD', 'STAGE_STOPPED', 'WATCH_FAILED', 'NOT_SENT')),
    reference text NOT NULL,
    detail text NOT NULL,
    since date NOT NULL,
    PRIMARY KEY (kind, reference)
);

-- Which topic a position counts in: one that was made anew under the same name has another id.
ALTER TABLE topic_position ADD COLUMN topic_id uuid;

-- Messages as they came: headers in their order, given twice or without a value; no key, no value. And the schema that a
-- message was written with, whatever release sends it.
ALTER TABLE outbox ALTER COLUMN key DROP NOT NULL, ALTER COLUMN body DROP NOT NULL, ALTER COLUMN headers SET DEFAULT '[]',
    ADD COLUMN schema_md5 uuid;
UPDATE outbox SET headers = coalesce(
    (SELECT jsonb_agg(jsonb_build_array(key, value)) FROM jsonb_each(headers)), '[]');
CREATE TABLE outbox_schema (schema_md5 uuid PRIMARY KEY, schema text NOT NULL);
ALTER TABLE outbox ADD FOREIGN KEY (schema_md5) REFERENCES outbox_schema (schema_md5);

-- A fact's identity as text: subject, milestone and occurred_at; the subject says which references are there.
CREATE FUNCTION fact_key(f fact) RETURNS text LANGUAGE sql STABLE PARALLEL SAFE
    RETURN concat_ws('|', f.subject, f.job_id, f.card_ref, f.attempt, f.consignment_id, f.milestone, left(f.mark, 13));
-- Whether two entries of the journal are about the same fact; by the references that their indexes are over.
CREATE FUNCTION same_fact(a fact, b fact) RETURNS boolean LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN a.milestone = b.milestone AND left(a.mark, 13) = left(b.mark, 13)
        AND (a.card_ref, a.attempt, a.consignment_id) IS NOT DISTINCT FROM (b.card_ref, b.attempt, b.consignment_id);
-- Who reported an entry of the journal.
CREATE FUNCTION reporter_of(f fact) RETURNS text LANGUAGE sql STABLE PARALLEL SAFE
    RETURN (SELECT r.partner FROM report r WHERE r.report_no = f.report_no);
-- Facts that did not happen, by their identity: each of their reporters has annulled his own word, and nobody else's.
CREATE VIEW annulled_fact AS
SELECT DISTINCT fact_key(k) AS fact FROM fact k WHERE k.corrects AND NOT EXISTS (
    SELECT FROM fact o WHERE NOT o.corrects AND same_fact(o, k)
        AND (o.card_ref = k.card_ref OR k.card_ref IS NULL AND o.consignment_id = k.consignment_id)
        AND NOT EXISTS (
            SELECT FROM fact c WHERE c.corrects AND same_fact(c, o) AND reporter_of(c) = reporter_of(o)
                AND (c.card_ref = o.card_ref OR o.card_ref IS NULL AND c.consignment_id = o.consignment_id)));

-- The sequences of a stream that have not come although later ones have.
CREATE FUNCTION sequence_gaps(seen int8multirange) RETURNS int8multirange LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN int8multirange(int8range(1, upper(seen))) - seen;
