CREATE TABLE cohort (
    cohort_no int GENERATED ALWAYS AS IDENTITY UNIQUE,
    cohort_id text PRIMARY KEY CHECK (cohort_id ~ '^[A-Za-z0-9_.-]{1,64}$'),
    city text NOT NULL,
    category text NOT NULL,
    opens_on date NOT NULL,
    state text NOT NULL
        CHECK (state IN ('REGISTERED', 'REFUSED', 'ACCEPTED', 'DISPATCHED', 'WITHDRAWN', 'CLOSED')),
    revision int NOT NULL DEFAULT 0,
    registered_on date NOT NULL,
    closed_on date,
    withdrawal jsonb,
    kept_open jsonb
);

CREATE TABLE submission (
    cohort_no int NOT NULL REFERENCES cohort (cohort_no),
    number int NOT NULL,
    sha256 text NOT NULL,
    declared int NOT NULL,
    amends boolean NOT NULL,
    manifest text NOT NULL,
    submitted_by text NOT NULL,
    state text NOT NULL CHECK (state IN ('REGISTERED', 'VALIDATED', 'WAITING_FOR_OPERATOR', 'REFUSED', 'ACCEPTED')),
    refusal jsonb,
    go_ahead_by text,
    PRIMARY KEY (cohort_no, number),
    UNIQUE (cohort_no, sha256)
);

CREATE TABLE row_outcome (
    cohort_no int NOT NULL,
    submission int NOT NULL,
    file text NOT NULL,
    line int NOT NULL,
    part int NOT NULL,
    outcome text NOT NULL CHECK (outcome IN ('accepted', 'quarantined', 'duplicate')),
    application_id text COLLATE "C",
    person bytea,
    card_ref uuid,
    kind text,
    reasons text[],
    of_file text,
    of_line int,
    corrected boolean NOT NULL DEFAULT false,
    PRIMARY KEY (cohort_no, submission, file, line)
);

CREATE TABLE card (
    card_ref uuid PRIMARY KEY,
    cohort_no int NOT NULL REFERENCES cohort (cohort_no),
    application_id text COLLATE "C" NOT NULL,
    person bytea,
    submission int NOT NULL,
    file text NOT NULL,
    line int NOT NULL,
    kind text NOT NULL,
    category text NOT NULL,
    bank text NOT NULL,
    factory text NOT NULL,
    applied_on date NOT NULL,
    due_on date NOT NULL,
    old_card_generation smallint,
    collection_method text NOT NULL,
    place text NOT NULL,
    block bigint NOT NULL,
    position int NOT NULL,
    held text,
    withdrawn text,
    last_attempt smallint NOT NULL DEFAULT 0,
    effective smallint,
    state text NOT NULL,
    since timestamptz NOT NULL,
    version int NOT NULL DEFAULT 0,
    next_due date,
    replaces uuid,
    UNIQUE (cohort_no, application_id)
);
CREATE INDEX card_person ON card (person);
CREATE INDEX card_due ON card (next_due) WHERE next_due IS NOT NULL;
CREATE INDEX card_waiting ON card (cohort_no, due_on) WHERE state = 'WAITING';
CREATE INDEX card_replaces ON card (replaces) WHERE replaces IS NOT NULL;

CREATE TABLE wave (
    cohort_no int NOT NULL REFERENCES cohort (cohort_no),
    wave int NOT NULL,
    planned_by text NOT NULL,
    submitters text[] NOT NULL,
    planned_on date NOT NULL,
    plastics int NOT NULL,
    forecast jsonb NOT NULL,
    refused jsonb,
    PRIMARY KEY (cohort_no, wave),
    UNIQUE (cohort_no, wave, planned_by, submitters)
);

CREATE TABLE job (
    job_id text PRIMARY KEY,
    cohort_no int NOT NULL,
    wave int NOT NULL,
    bank text NOT NULL,
    factory text NOT NULL,
    due_on date NOT NULL,
    start_on date NOT NULL,
    card_count int NOT NULL,
    hash_total text NOT NULL,
    remake boolean NOT NULL,
    job_received text COLLATE "C",
    job_accepted text COLLATE "C",
    job_refused text COLLATE "C",
    corrected boolean NOT NULL DEFAULT false,
    conflict boolean NOT NULL DEFAULT false,
    cancelled_on date,
    carries bigint[],
    UNIQUE (job_id, cohort_no, wave),
    FOREIGN KEY (cohort_no, wave) REFERENCES wave (cohort_no, wave)
);

CREATE TABLE job_item (
    job_id text NOT NULL REFERENCES job (job_id),
    position int NOT NULL,
    card_ref uuid NOT NULL,
    attempt smallint NOT NULL,
    PRIMARY KEY (job_id, position),
    UNIQUE (card_ref, attempt)
);

CREATE TABLE plastic (
    card_ref uuid NOT NULL,
    attempt smallint NOT NULL,
    job_id text,
    bank text NOT NULL,
    factory text,
    item_accepted text COLLATE "C",
    item_refused text COLLATE "C",
    made text COLLATE "C",
    bank_keyed text COLLATE "C",
    ss_keyed text COLLATE "C",
    spoiled text COLLATE "C",
    collected text COLLATE "C",
    refused_by_holder text COLLATE "C",
    destroyed text COLLATE "C",
    issued_instantly text COLLATE "C",
    ss_activated text COLLATE "C",
    finance_activated text COLLATE "C",
    ecard_signed text COLLATE "C",
    old_card_lapsed text COLLATE "C",
    old_card_used text COLLATE "C",
    loss_reported_temporary text COLLATE "C",
    loss_reported text COLLATE "C",
    ss_cancelled text COLLATE "C",
    account_cancelled text COLLATE "C",
    corrected boolean NOT NULL DEFAULT false,
    conflict boolean NOT NULL DEFAULT false,
    PRIMARY KEY (card_ref, attempt)
) PARTITION BY HASH (card_ref);
CREATE TABLE plastic_0 PARTITION OF plastic FOR VALUES WITH (MODULUS 4, REMAINDER 0);
CREATE TABLE plastic_1 PARTITION OF plastic FOR VALUES WITH (MODULUS 4, REMAINDER 1);
CREATE TABLE plastic_2 PARTITION OF plastic FOR VALUES WITH (MODULUS 4, REMAINDER 2);
CREATE TABLE plastic_3 PARTITION OF plastic FOR VALUES WITH (MODULUS 4, REMAINDER 3);
CREATE INDEX plastic_job ON plastic (job_id);
