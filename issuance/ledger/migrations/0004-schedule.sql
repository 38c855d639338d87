-- Scheduling in full: cohorts that are withdrawn before they open.
-- depends: 0003-intake

ALTER TABLE cohort DROP CONSTRAINT cohort_state_check;
ALTER TABLE cohort ADD CONSTRAINT cohort_state_check
    CHECK (state IN ('REGISTERED', 'REFUSED', 'ACCEPTED', 'DISPATCHED', 'WITHDRAWN', 'CLOSED'));

-- Who withdrew it, when and why; it stays when the cohort is closed.
ALTER TABLE cohort ADD COLUMN withdrawal jsonb;
