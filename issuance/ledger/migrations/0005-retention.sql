-- Retention: what was erased, whose, by whom, and the certificates of it. References and counts only.
-- depends: 0004-schedule

-- A cohort's personal data, or one person's. The row stands before anything is touched, so that whoever comes next ends
-- what was begun; `plan` holds what is to be done and is emptied at the end.
CREATE TABLE erasure (
    erasure_no int GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    cohort_no int NOT NULL REFERENCES cohort (cohort_no),
    whole boolean NOT NULL,
    ground text NOT NULL,
    begun_on date NOT NULL,
    begun_by text NOT NULL,
    plan jsonb,
    finished_on date
);
CREATE UNIQUE INDEX erasure_cohort ON erasure (cohort_no) WHERE whole;

-- The cards of persons who were erased alone.
CREATE TABLE erased_card (
    card_ref uuid PRIMARY KEY,
    erasure_no int NOT NULL REFERENCES erasure (erasure_no)
);

-- What is proved: `sha256` is of the content in canonical JSON, and the audit's entry of the erasure names it.
CREATE TABLE certificate (
    certificate_no int PRIMARY KEY,
    erasure_no int NOT NULL REFERENCES erasure (erasure_no),
    issued_on date NOT NULL,
    content jsonb NOT NULL,
    sha256 text NOT NULL
);
