-- Tracking by the hundred thousand: instants compared as numbers, rows that grow with each fact rewritten in their page.
-- depends: 0010-same-facts
CREATE FUNCTION mark_ms(mark text) RETURNS bigint LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN left(mark, 13)::bigint;
-- The instant with which a Shanghai day begins, in UTC milliseconds; since 1992 there has been no summer time.
CREATE FUNCTION begin_ms(day date) RETURNS bigint LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN (day - date '1970-01-01') * 86400000::bigint - 28800000;
DROP FUNCTION begin_of(date);

-- A plastic is folded a dozen times and its row grows tenfold; what finds room in its page touches no index.
ALTER TABLE plastic_0 SET (fillfactor = 40);
ALTER TABLE plastic_1 SET (fillfactor = 40);
ALTER TABLE plastic_2 SET (fillfactor = 40);
ALTER TABLE plastic_3 SET (fillfactor = 40);
ALTER TABLE plastic_in_consignment SET (fillfactor = 70);
ALTER TABLE consignment SET (fillfactor = 60);
