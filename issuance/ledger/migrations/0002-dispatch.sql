-- Dispatch in full: jobs that are cancelled and sent again, keys that change.
-- depends: 0001-ledger

ALTER TABLE job ADD COLUMN cancelled_on date;
ALTER TABLE sealed_job ADD COLUMN resent int NOT NULL DEFAULT 0;

-- Public keys of partners beside the first, which is a file; a row without pem keeps the first key's last day.
CREATE TABLE partner_key (
    partner text NOT NULL,
    key_id text NOT NULL,
    algorithm text NOT NULL,
    pem text,
    valid_from date NOT NULL,
    valid_until date,
    added_by text NOT NULL,
    PRIMARY KEY (partner, key_id)
);

-- Holder events whose values change an order: the values lie sealed in the vault (`overlay`), the terms of the order
-- (bank, way to collect, place) are no personal data, `person` is the keyed hash of a corrected identity.
ALTER TABLE holder_event
    ADD COLUMN event_no bigint GENERATED ALWAYS AS IDENTITY UNIQUE,
    ADD COLUMN overlay text,
    ADD COLUMN terms jsonb,
    ADD COLUMN person bytea,
    ADD COLUMN followed_on date;
CREATE INDEX holder_event_due ON holder_event (card_ref) WHERE followed_on IS NULL;

-- The holder events whose values a job's file carries, frozen before it is sealed.
ALTER TABLE job ADD COLUMN carries bigint[];
