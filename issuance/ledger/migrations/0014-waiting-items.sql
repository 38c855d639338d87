-- Cards made at an outlet for applications still in intake wait for their card.
-- depends: 0013-remakes-and-requests

-- The card that a duplicate row would have become; its `card_ref` is the accepted one.
ALTER TABLE row_outcome ADD COLUMN own_ref uuid;
CREATE INDEX row_outcome_own ON row_outcome (own_ref) WHERE own_ref IS NOT NULL;

-- The card that an application's reference stands for: its own, or that of which it is a duplicate; null if none yet.
CREATE FUNCTION accepted_card(ref uuid) RETURNS uuid LANGUAGE sql STABLE PARALLEL SAFE RETURN coalesce(
    (SELECT card_ref FROM card WHERE card_ref = ref),
    (SELECT r.card_ref FROM row_outcome r JOIN submission s ON (s.cohort_no, s.number) = (r.cohort_no, r.submission)
     WHERE r.own_ref = ref AND r.outcome = 'duplicate' AND s.state = 'ACCEPTED' ORDER BY r.submission DESC LIMIT 1));

ALTER TABLE waiting_event DROP COLUMN application_id;

-- Reported facts of attempt 0 whose card is not known yet; their report is in the inbox, the journal takes them later.
CREATE TABLE waiting_item (
    report_no bigint NOT NULL,
    item int NOT NULL,
    partner text NOT NULL,
    relation text NOT NULL,
    subject text NOT NULL,
    card_ref uuid NOT NULL,
    attempt smallint NOT NULL,
    consignment_id text COLLATE "C",
    milestone text NOT NULL,
    mark text COLLATE "C" NOT NULL,
    corrects boolean NOT NULL,
    arrived_on date NOT NULL,
    PRIMARY KEY (report_no, item)
);
