-- A holder event that did not happen is taken back by a later one.
-- depends: 0014-waiting-items

ALTER TABLE holder_event
    -- the event that this one takes back, and whether one has taken this one back
    ADD COLUMN annuls bigint REFERENCES holder_event (event_no),
    ADD COLUMN annulled boolean NOT NULL DEFAULT false,
    -- what was in force before: the terms that it changes, the identity that it corrects
    ADD COLUMN terms_before jsonb,
    ADD COLUMN person_before bytea;
ALTER TABLE waiting_event ADD COLUMN annuls_source text, ADD COLUMN annuls_event_id text;

-- A plastic may be cancelled for an event that is annulled, and later for another reason.
UPDATE decision SET occasion = reason WHERE kind = 'CANCEL_PLASTIC' AND reason IN ('DEATH', 'WITHDRAWN');
