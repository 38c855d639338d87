-- Intake in full: corrections of quarantined lines, and one acceptance a person.
-- depends: 0002-dispatch

-- A correction's row names the line that it corrects; a line is corrected once, whatever became of its correction.
ALTER TABLE row_outcome ADD COLUMN of_file text, ADD COLUMN of_line int,
    ADD COLUMN corrected boolean NOT NULL DEFAULT false;

-- The row of a person that counts, of every cohort: no second one is accepted beside it. It is told apart by what
-- became of its card (issuance/intake/duplicates.py); another row takes its place only by naming it in `replaces`.
CREATE TABLE acceptance (
    person bytea PRIMARY KEY,
    card_ref uuid NOT NULL,
    cohort_no int NOT NULL,
    submission int NOT NULL,
    replaces uuid
);
INSERT INTO acceptance (person, card_ref, cohort_no, submission)
SELECT DISTINCT ON (r.person) r.person, r.card_ref, r.cohort_no, r.submission
FROM row_outcome r JOIN submission s ON (s.cohort_no, s.number) = (r.cohort_no, r.submission)
WHERE r.outcome = 'accepted' AND r.person IS NOT NULL AND s.state IN ('VALIDATED', 'WAITING_FOR_OPERATOR', 'ACCEPTED')
ORDER BY r.person, r.cohort_no DESC, r.submission DESC;

-- Who holds what is asked of `acceptance` now.
DROP INDEX row_outcome_person;
