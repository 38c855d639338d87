-- Instants as UTC milliseconds, for comparing them by the hundred thousand.
-- depends: 0010-same-facts
CREATE FUNCTION mark_ms(mark text) RETURNS bigint LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN left(mark, 13)::bigint;
-- The instant with which a Shanghai day begins; since 1992 there has been no summer time.
CREATE FUNCTION begin_ms(day date) RETURNS bigint LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN (day - date '1970-01-01') * 86400000::bigint - 28800000;
