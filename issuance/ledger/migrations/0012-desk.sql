-- One door for people: users are (issuer, subject), rights lie here, releases and the audit are only added to.
-- depends: 0011-rows-in-place

-- Who acts. People are registered at their first verified login; 'system' are those of our own that never log in.
DROP TABLE operator;
CREATE SEQUENCE desk_user_no;
CREATE TABLE desk_user (
    user_id text PRIMARY KEY DEFAULT 'u' || nextval('desk_user_no'),
    issuer text NOT NULL,
    subject text NOT NULL,
    name text NOT NULL,
    UNIQUE (issuer, subject)
);
INSERT INTO desk_user (user_id, issuer, subject, name)
SELECT name, 'system', name, name
FROM unnest(ARRAY['pipeline', 'check-planner', 'check-releaser']) AS ours (name);

-- A user's name, for showing; what is recorded is the id.
CREATE FUNCTION user_name(id text) RETURNS text LANGUAGE sql STABLE PARALLEL SAFE
    RETURN coalesce((SELECT name FROM desk_user WHERE user_id = id), id);

CREATE TABLE user_right (
    user_id text NOT NULL REFERENCES desk_user,
    "right" text NOT NULL CHECK ("right" IN
        ('view', 'submit', 'plan', 'release', 'tell', 'resolve', 'unmask', 'erase', 'admin')),
    city text NOT NULL CHECK (city = '*' OR city ~ '^[0-9]{6}$'),
    granted_by text NOT NULL REFERENCES desk_user,
    granted_on date NOT NULL,
    PRIMARY KEY (user_id, "right", city)
);

-- The desk of this ledger: whose users are its users, and the service user to whom approvals belong in Airflow.
CREATE TABLE desk (
    one boolean PRIMARY KEY DEFAULT true CHECK (one),
    issuer text NOT NULL,
    service_id text NOT NULL,
    service_name text NOT NULL,
    address text NOT NULL
);

-- The first answer to each act that came with an Idempotency-Key; no personal data.
CREATE TABLE desk_answer (
    user_id text NOT NULL REFERENCES desk_user,
    key text NOT NULL,
    request_hash bytea NOT NULL,
    answer json,
    at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (user_id, key)
);

-- Holder events told at the desk, and on what paper; death and withdrawal act later, or when a second user confirms.
CREATE TABLE told_event (
    event_no bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    card_ref uuid NOT NULL REFERENCES card,
    event text NOT NULL,
    occurred_at timestamptz NOT NULL,
    paper text NOT NULL,
    told_by text NOT NULL REFERENCES desk_user,
    told_on date NOT NULL,
    acts_at timestamptz NOT NULL,
    confirmed_by text REFERENCES desk_user,
    acted_on date,
    dropped jsonb,
    CHECK (confirmed_by <> told_by),
    CHECK (acted_on IS NULL OR dropped IS NULL)
);
CREATE INDEX told_event_card ON told_event (card_ref);
CREATE INDEX told_event_waiting ON told_event (acts_at) WHERE acted_on IS NULL AND dropped IS NULL;

-- A wave's row stands before it is planned: who wants it. `planned_on` is when its jobs were written.
ALTER TABLE wave ALTER COLUMN planned_on DROP NOT NULL;
-- names of before the desk were no users: what was released then stands
ALTER TABLE release ADD FOREIGN KEY (released_by) REFERENCES desk_user NOT VALID;

-- Going on past a warning threshold is never the submitter's act; before the desk it could be, by a typed name.
ALTER TABLE submission ADD CHECK (go_ahead_by <> submitted_by OR state = 'REFUSED' OR submitted_by !~ '^u[0-9]+$');

-- What nobody alters, whatever role: ERRCODE of class 42 is ours, it stops loudly.
CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'rows of % are only added', TG_TABLE_NAME USING ERRCODE = 'insufficient_privilege';
END $$;
CREATE TRIGGER only_added BEFORE UPDATE OR DELETE OR TRUNCATE ON audit EXECUTE FUNCTION refuse_change();
CREATE TRIGGER only_added BEFORE UPDATE OR DELETE OR TRUNCATE ON release EXECUTE FUNCTION refuse_change();
CREATE TRIGGER only_added BEFORE UPDATE OF
    job_id, cohort_no, wave, object, sha256, key_id, algorithm, sealed_on OR DELETE OR TRUNCATE
    ON sealed_job EXECUTE FUNCTION refuse_change();
CREATE TRIGGER only_added BEFORE UPDATE OR TRUNCATE ON job_item EXECUTE FUNCTION refuse_change();

CREATE FUNCTION keep_frozen_items() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    -- re-makes leave in jobs of their own under a release that stands
    IF EXISTS (SELECT FROM changed JOIN job USING (job_id) JOIN release USING (cohort_no, wave)
               WHERE TG_OP = 'DELETE' OR NOT remake
                     OR EXISTS (SELECT FROM sealed_job s WHERE s.job_id = changed.job_id)) THEN
        RAISE EXCEPTION 'items of a released wave are frozen' USING ERRCODE = 'insufficient_privilege';
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER frozen AFTER INSERT ON job_item REFERENCING NEW TABLE AS changed
    FOR EACH STATEMENT EXECUTE FUNCTION keep_frozen_items();
CREATE TRIGGER frozen_deleted AFTER DELETE ON job_item REFERENCING OLD TABLE AS changed
    FOR EACH STATEMENT EXECUTE FUNCTION keep_frozen_items();
