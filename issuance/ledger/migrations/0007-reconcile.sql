-- Reconciliation in full: what happened to a break, refused items as evidence, cohorts kept open, daily reports.
-- depends: 0006-tracking

-- A person's explanation stands while the difference stands; `gone` remembers that it went away meanwhile.
ALTER TABLE break ADD COLUMN gone boolean NOT NULL DEFAULT false;
CREATE INDEX break_explained ON break (kind) WHERE closed_on IS NOT NULL AND closed_by <> 'evidence' AND NOT gone;

-- The history of breaks; a break's row is its newest state.
CREATE TABLE break_event (
    event_no bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    break_id uuid NOT NULL,
    business_day date NOT NULL,
    event text NOT NULL CHECK (event IN ('OPENED', 'CHANGED', 'ASSIGNED', 'RESOLVED', 'CLOSED', 'REOPENED')),
    done_by text NOT NULL,
    expected text,
    actual text,
    note text
);
CREATE INDEX break_event_break ON break_event (break_id);
CREATE INDEX break_event_day ON break_event (business_day);
INSERT INTO break_event (break_id, business_day, event, done_by, expected, actual)
SELECT break_id, opened_on, 'OPENED', 'evidence', expected, actual FROM break ORDER BY opened_on, break_id;
INSERT INTO break_event (break_id, business_day, event, done_by, note)
SELECT break_id, closed_on, CASE closed_by WHEN 'evidence' THEN 'CLOSED' ELSE 'RESOLVED' END, closed_by, note
FROM break WHERE closed_on IS NOT NULL ORDER BY closed_on, break_id;

-- What a refused item was about, where it named a plastic: references only, the evidence of MADE_NOT_ORDERED.
ALTER TABLE refused_item ADD COLUMN card_ref uuid;
ALTER TABLE refused_item ADD COLUMN attempt smallint;
ALTER TABLE refused_item ADD COLUMN milestone text;
ALTER TABLE refused_item ADD COLUMN corrects boolean;
ALTER TABLE refused_item ADD COLUMN reported_at timestamptz;
CREATE INDEX refused_item_made ON refused_item (card_ref, attempt) WHERE milestone IN ('MADE', 'DESTROYED');

-- Who reopened a cohort, when and why; while it stands, the cohort is not closed by itself.
ALTER TABLE cohort ADD COLUMN kept_open jsonb;

-- A day's report as it was made, once; `figures` are the sums that `ledger verify` counts again.
CREATE TABLE daily_report (
    business_day date PRIMARY KEY,
    made_on date NOT NULL,
    csv_object text NOT NULL,
    csv_sha256 text NOT NULL,
    parquet_object text NOT NULL,
    parquet_sha256 text NOT NULL,
    figures jsonb NOT NULL
);
