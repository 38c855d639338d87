-- The day on which a stream's gaps were asked for last.
-- depends: 0015-annulled-events

ALTER TABLE partner_stream ADD COLUMN asked_on date;
UPDATE partner_stream SET asked_on = (SELECT day FROM business_clock) WHERE NOT isempty(asked);
