-- A re-make is a process, what we ask is an entity, what does harm in numbers has a brake.
-- depends: 0012-desk

-- 补制: plastic `made` of a card takes the place of plastic `attempt`, until it has, or need not.
CREATE TABLE remake (
    card_ref uuid NOT NULL,
    made smallint NOT NULL,
    attempt smallint NOT NULL,
    ground text NOT NULL,
    reason text NOT NULL,
    begun_on date NOT NULL,
    decided_by text NOT NULL,
    ended_on date,
    ending text,
    PRIMARY KEY (card_ref, made),
    CHECK (made > attempt AND (ended_on IS NULL) = (ending IS NULL))
);
CREATE UNIQUE INDEX remake_open ON remake (card_ref, attempt) WHERE ended_on IS NULL;
INSERT INTO remake (card_ref, made, attempt, ground, reason, begun_on, decided_by)
SELECT card_ref, attempt + 1, attempt, CASE WHEN reason IN ('BANK_SWITCHED', 'REASSIGNED', 'DAMAGED') THEN reason
    WHEN reason = 'LOST_IN_HANDOVER' THEN 'MISSING' WHEN reason = 'POSTED' THEN 'PRESUMED_LOST'
    WHEN reason = 'MAIL_LOST' THEN 'LOST' WHEN reason ~ '_CHANGED$|_CORRECTED$' THEN 'CHANGED' ELSE 'REFUSED' END,
    reason, business_day, decided_by
FROM decision WHERE kind = 'REMAKE';
DELETE FROM decision WHERE kind = 'REMAKE';

-- What is asked of a partner about one plastic; `n` tells one from a later one of its kind.
CREATE TABLE request (
    card_ref uuid NOT NULL,
    attempt smallint NOT NULL,
    kind text NOT NULL,
    n smallint NOT NULL,
    reason text NOT NULL,
    partner text NOT NULL,
    consignment_id text COLLATE "C",
    asked_on date NOT NULL,
    due_on date,
    batch_id text,
    ending text CHECK (ending IN ('answered', 'void', 'waived')),
    ended_on date,
    why text,
    ended_by text,
    PRIMARY KEY (card_ref, attempt, kind, n),
    CHECK ((ended_on IS NULL) = (ending IS NULL))
);
CREATE INDEX request_open ON request (partner, due_on) WHERE ended_on IS NULL;
CREATE INDEX request_unsent ON request (card_ref) WHERE batch_id IS NULL AND ended_on IS NULL;
INSERT INTO request (card_ref, attempt, kind, n, reason, partner, consignment_id, asked_on, due_on, batch_id)
SELECT card_ref, attempt, request, row_number() OVER (PARTITION BY card_ref, attempt, request ORDER BY business_day,
    occasion), reason, partner, consignment_id, business_day, due_on, batch_id
FROM decision WHERE kind = 'REQUEST';
DROP INDEX decision_request;
DELETE FROM decision WHERE kind = 'REQUEST';
ALTER TABLE decision DROP COLUMN request, DROP COLUMN partner, DROP COLUMN due_on;
CREATE INDEX decision_cancelled ON decision (card_ref, attempt) WHERE kind = 'CANCEL_PLASTIC';

-- How far each carrier's feed has come: the greatest time of its mail events.
CREATE TABLE carrier_feed (carrier text PRIMARY KEY, last_news timestamptz NOT NULL);
INSERT INTO carrier_feed SELECT carrier_of(consignment_id), max(mark_at(mark)) FROM fact
WHERE subject = 'mail' AND NOT corrects GROUP BY 1;

-- What of a kind fell due at once, past the policy's share: nothing of it is decided until a person does.
CREATE TABLE brake (
    brake_no int GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    kind text NOT NULL,
    city text NOT NULL,
    carrier text NOT NULL DEFAULT '',
    set_on date NOT NULL,
    due int NOT NULL,
    of int NOT NULL,
    decided_on date,
    goes_on boolean,
    decided_by text,
    note text,
    CHECK ((decided_on IS NULL) = (goes_on IS NULL))
);
CREATE UNIQUE INDEX brake_open ON brake (kind, city, carrier) WHERE decided_on IS NULL;
-- The last day on which a city's brakes were looked at.
CREATE TABLE brake_look (city text PRIMARY KEY, day date NOT NULL);

-- The cards that a pass of decisions has taken: those changed before it began, and what it changes itself.
CREATE TABLE deciding (card_ref uuid PRIMARY KEY);

-- A card whose decisions fail is a fault of ours.
ALTER TABLE fault DROP CONSTRAINT fault_kind_check, ADD CHECK (kind IN
    ('UNPROCESSABLE', 'TOPIC_CHANGED', 'PARTNER_HELD', 'STAGE_STOPPED', 'WATCH_FAILED', 'NOT_SENT', 'DECISION_FAILED'));

-- Letters under way: of which carriers silence is heard.
CREATE INDEX card_posted ON card (card_ref) WHERE state = 'POSTED';

-- Holder events of applications that have no card yet, until their submission is decided; values stay sealed to our key.
CREATE TABLE waiting_event (
    source text NOT NULL,
    event_id text COLLATE "C" NOT NULL,
    sha256 bytea NOT NULL,
    event text NOT NULL,
    cohort_no int NOT NULL REFERENCES cohort (cohort_no),
    application_id text COLLATE "C" NOT NULL,
    card_ref uuid NOT NULL,
    occurred_at timestamptz NOT NULL,
    sealed text,
    arrived_on date NOT NULL,
    PRIMARY KEY (source, event_id)
);
