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
