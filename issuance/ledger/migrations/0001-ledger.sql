-- The ledger: every fact and decision of every card. Names are those of the public contract.
-- depends:

-- A mark is the value of a fact: 13 digits of UTC milliseconds, '|', reason, '|', canonical JSON of its other values.
-- Text order is the contract's order (occurred_at, canonical content), so LEAST and MIN give the value that counts.
CREATE FUNCTION mark_at(mark text) RETURNS timestamptz LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN to_timestamp(left(mark, 13)::bigint / 1000.0);
CREATE FUNCTION mark_reason(mark text) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN split_part(mark, '|', 2);
CREATE FUNCTION mark_content(mark text) RETURNS jsonb LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN nullif(substr(mark, 16 + length(split_part(mark, '|', 2))), '')::jsonb;
CREATE FUNCTION shanghai_day(instant timestamptz) RETURNS date LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN (instant AT TIME ZONE 'Asia/Shanghai')::date;

-- The sum of the card_refs' low 64 bits mod 2^64 as 16 hex digits (contract: Job file), from two 32-bit halves.
CREATE FUNCTION hash_total(card_refs uuid[]) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN (
        SELECT lpad(to_hex((high + low / 4294967296) % 4294967296), 8, '0') || lpad(to_hex(low % 4294967296), 8, '0')
        FROM (
            SELECT coalesce(sum(('x' || substr(hex, 17, 8))::bit(32)::bigint), 0)::bigint AS high,
                   coalesce(sum(('x' || substr(hex, 25, 8))::bit(32)::bigint), 0)::bigint AS low
            FROM (SELECT replace(ref::text, '-', '') AS hex FROM unnest(card_refs) ref) refs
        ) halves
    );

CREATE TABLE business_clock (
    one boolean PRIMARY KEY DEFAULT true CHECK (one),
    day date NOT NULL
);

CREATE TABLE cohort (
    cohort_no int GENERATED ALWAYS AS IDENTITY UNIQUE,
    cohort_id text PRIMARY KEY CHECK (cohort_id ~ '^[A-Za-z0-9_.-]{1,64}$'),
    city text NOT NULL,
    category text NOT NULL,
    opens_on date NOT NULL,
    state text NOT NULL CHECK (state IN ('REGISTERED', 'REFUSED', 'ACCEPTED', 'DISPATCHED', 'CLOSED')),
    revision int NOT NULL DEFAULT 0,
    registered_on date NOT NULL,
    closed_on date
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

CREATE TABLE part (
    cohort_no int NOT NULL,
    submission int NOT NULL,
    part int NOT NULL,
    object text NOT NULL,
    file text NOT NULL,
    lines int4multirange NOT NULL,
    rows int NOT NULL,
    validation jsonb,
    PRIMARY KEY (cohort_no, submission, part),
    FOREIGN KEY (cohort_no, submission) REFERENCES submission (cohort_no, number)
);

-- Every row that was read; outcome 'accepted' is provisional until its submission is ACCEPTED.
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
    PRIMARY KEY (cohort_no, submission, file, line)
);
CREATE INDEX row_outcome_person ON row_outcome (person) WHERE person IS NOT NULL;

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
    UNIQUE (cohort_no, application_id)
);
CREATE INDEX card_person ON card (person);
CREATE INDEX card_due ON card (next_due) WHERE next_due IS NOT NULL;
CREATE INDEX card_waiting ON card (cohort_no, due_on) WHERE state = 'WAITING';

CREATE TABLE changed_card (card_ref uuid NOT NULL);

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

-- Four eyes: the releaser neither submitted nor planned; the foreign key keeps the two names those of the plan.
CREATE TABLE release (
    cohort_no int NOT NULL,
    wave int NOT NULL,
    planned_by text NOT NULL,
    submitters text[] NOT NULL,
    released_by text NOT NULL CHECK (released_by <> ''),
    released_on date NOT NULL,
    remakes_allowed int NOT NULL,
    PRIMARY KEY (cohort_no, wave),
    FOREIGN KEY (cohort_no, wave, planned_by, submitters)
        REFERENCES wave (cohort_no, wave, planned_by, submitters),
    CHECK (released_by <> planned_by AND NOT released_by = ANY (submitters))
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

-- A job is sealed only if a release stands: the foreign key refuses anything else.
CREATE TABLE sealed_job (
    job_id text PRIMARY KEY,
    cohort_no int NOT NULL,
    wave int NOT NULL,
    object text NOT NULL,
    sha256 text NOT NULL,
    key_id text NOT NULL,
    algorithm text NOT NULL,
    sealed_on date NOT NULL,
    sent_on date,
    FOREIGN KEY (job_id, cohort_no, wave) REFERENCES job (job_id, cohort_no, wave),
    FOREIGN KEY (cohort_no, wave) REFERENCES release (cohort_no, wave)
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

-- A consignment is 'H:hand-over id' or 'M:carrier:tracking number'; mail facts live here and are not fanned out.
CREATE TABLE consignment (
    consignment_id text COLLATE "C" PRIMARY KEY,
    posted text COLLATE "C",
    in_transit text COLLATE "C",
    out_for_delivery text COLLATE "C",
    at_pickup_point text COLLATE "C",
    delivery_failed text COLLATE "C",
    delivered text COLLATE "C",
    returned text COLLATE "C",
    lost text COLLATE "C",
    corrected boolean NOT NULL DEFAULT false,
    conflict boolean NOT NULL DEFAULT false
);

CREATE TABLE carriage (
    card_ref uuid NOT NULL,
    attempt smallint NOT NULL,
    consignment_id text COLLATE "C" NOT NULL,
    handed_over text COLLATE "C",
    received_at_place text COLLATE "C",
    sent_back text COLLATE "C",
    corrected boolean NOT NULL DEFAULT false,
    conflict boolean NOT NULL DEFAULT false,
    PRIMARY KEY (card_ref, attempt, consignment_id)
);
CREATE INDEX carriage_consignment ON carriage (consignment_id);

CREATE TABLE report (
    report_no bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    partner text NOT NULL,
    report_id text COLLATE "C" NOT NULL,
    sha256 bytea NOT NULL,
    topic text NOT NULL,
    topic_partition int NOT NULL,
    topic_offset bigint NOT NULL,
    items int NOT NULL,
    refused int NOT NULL,
    UNIQUE (partner, report_id)
);

-- The journal: evidence as it came, one row a fact, never changed. By month of arrival; a year is detached.
CREATE TABLE fact (
    arrived_on date NOT NULL,
    report_no bigint NOT NULL,
    item int NOT NULL,
    subject text NOT NULL,
    job_id text,
    card_ref uuid,
    attempt smallint,
    consignment_id text COLLATE "C",
    milestone text NOT NULL,
    mark text COLLATE "C" NOT NULL,
    corrects boolean NOT NULL
) PARTITION BY RANGE (arrived_on);
CREATE TABLE fact_default PARTITION OF fact DEFAULT;
CREATE INDEX fact_card ON fact (card_ref) WHERE card_ref IS NOT NULL;
CREATE INDEX fact_consignment ON fact (consignment_id) WHERE consignment_id IS NOT NULL;
CREATE INDEX fact_job ON fact (job_id) WHERE job_id IS NOT NULL;
CREATE INDEX fact_corrects ON fact (milestone) WHERE corrects;

CREATE TABLE refused_item (
    partner text NOT NULL,
    report_id text NOT NULL,
    item int NOT NULL,
    code text NOT NULL,
    arrived_on date NOT NULL,
    PRIMARY KEY (partner, report_id, item)
);

CREATE TABLE dead_letter (
    topic text NOT NULL,
    topic_partition int NOT NULL,
    topic_offset bigint NOT NULL,
    partner text,
    report_id text,
    code text NOT NULL,
    arrived_on date NOT NULL,
    replayed_on date,
    replays int NOT NULL DEFAULT 0,
    PRIMARY KEY (topic, topic_partition, topic_offset)
);

CREATE TABLE partner_stream (
    partner text NOT NULL,
    stream text NOT NULL,
    seen int8multirange NOT NULL,
    asked int8multirange NOT NULL DEFAULT '{}',
    PRIMARY KEY (partner, stream)
);

CREATE TABLE partner_standing (
    partner text PRIMARY KEY,
    received bigint NOT NULL DEFAULT 0,
    refused bigint NOT NULL DEFAULT 0,
    run int NOT NULL DEFAULT 0,
    paused_on date,
    reason text
);

CREATE TABLE statement_chunk (
    partner text NOT NULL,
    statement_id text COLLATE "C" NOT NULL,
    chunk int NOT NULL,
    function text NOT NULL CHECK (function IN ('ss', 'finance')),
    business_day date NOT NULL,
    as_of timestamptz NOT NULL,
    revision int NOT NULL,
    chunks int NOT NULL,
    total bigint NOT NULL,
    hash_total text NOT NULL,
    sha256 bytea NOT NULL,
    cards uuid[] NOT NULL,
    attempts smallint[] NOT NULL,
    PRIMARY KEY (partner, statement_id, revision, chunk)
);

-- A complete revision; `cohorts` freezes how many of its total each cohort has (cohort_no: n, 0: no card of ours).
CREATE TABLE statement (
    partner text NOT NULL,
    statement_id text COLLATE "C" NOT NULL,
    function text NOT NULL,
    business_day date NOT NULL,
    as_of timestamptz NOT NULL,
    revision int NOT NULL,
    total bigint NOT NULL,
    cohorts jsonb NOT NULL,
    completed_on date NOT NULL,
    reconciled_on date,
    PRIMARY KEY (partner, statement_id, revision)
);

-- Differences of the newest complete statement; pending until the next one, then a break.
CREATE TABLE statement_difference (
    partner text NOT NULL,
    function text NOT NULL,
    card_ref uuid NOT NULL,
    attempt smallint NOT NULL,
    side text NOT NULL CHECK (side IN ('theirs', 'ours')),
    statement_id text NOT NULL,
    PRIMARY KEY (partner, function, card_ref, attempt, side)
);

CREATE TABLE holder_event (
    source text NOT NULL,
    event_id text COLLATE "C" NOT NULL,
    sha256 bytea NOT NULL,
    event text NOT NULL,
    card_ref uuid NOT NULL,
    occurred_at timestamptz NOT NULL,
    sealed text,
    PRIMARY KEY (source, event_id)
);
CREATE INDEX holder_event_card ON holder_event (card_ref);

-- What we or an operator decided; recorded once, never undone by evidence.
CREATE TABLE decision (
    card_ref uuid NOT NULL,
    attempt smallint NOT NULL,
    kind text NOT NULL,
    occasion text NOT NULL,
    reason text NOT NULL,
    partner text,
    due_on date,
    business_day date NOT NULL,
    decided_by text NOT NULL,
    batch_id text,
    PRIMARY KEY (card_ref, kind, attempt, occasion)
);
CREATE INDEX decision_unbatched ON decision (business_day) WHERE kind = 'NOTICE' AND batch_id IS NULL;
CREATE INDEX decision_request ON decision (due_on) WHERE kind = 'REQUEST';

CREATE TABLE break (
    break_id uuid PRIMARY KEY,
    cohort_no int NOT NULL,
    kind text NOT NULL,
    reference text COLLATE "C" NOT NULL,
    card_ref uuid,
    attempt smallint,
    expected text,
    actual text,
    opened_on date NOT NULL,
    closed_on date,
    closed_by text,
    owner text,
    note text
);
CREATE INDEX break_open ON break (cohort_no, kind) WHERE closed_on IS NULL;
CREATE INDEX break_card ON break (card_ref) WHERE card_ref IS NOT NULL;

CREATE TABLE tally (
    cohort_no int NOT NULL,
    state text NOT NULL,
    cards bigint NOT NULL,
    PRIMARY KEY (cohort_no, state)
);

CREATE TABLE outbox (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    ce_id text NOT NULL UNIQUE,
    topic text NOT NULL,
    key text NOT NULL,
    record text,
    body bytea NOT NULL,
    headers jsonb NOT NULL DEFAULT '{}',
    business_day date NOT NULL,
    sent boolean NOT NULL DEFAULT false
);
CREATE INDEX outbox_unsent ON outbox (id) WHERE NOT sent;

CREATE TABLE topic_position (
    topic text NOT NULL,
    topic_partition int NOT NULL,
    next_offset bigint NOT NULL,
    PRIMARY KEY (topic, topic_partition)
);

-- People who have logged in: the name and Airflow's own id of each, for the assignment of approvals.
CREATE TABLE operator (
    name text PRIMARY KEY,
    airflow_id text NOT NULL
);

CREATE TABLE audit (
    number bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    business_day date NOT NULL,
    at timestamptz NOT NULL DEFAULT now(),
    "user" text NOT NULL,
    act text NOT NULL,
    subject text NOT NULL,
    details jsonb NOT NULL,
    hash text NOT NULL
);
