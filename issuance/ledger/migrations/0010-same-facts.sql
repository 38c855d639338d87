-- depends: 0009-doors
-- The facts that a correction is compared with are looked up by their indexes: a predicate over two entries of the
-- journal, an OR in it, was answered by reading the whole journal each day.
DROP VIEW annulled_fact;
DROP FUNCTION same_fact(fact, fact);

-- The journal's entries about the same fact as `k`, itself among them, whoever reported them.
CREATE FUNCTION same_facts(k fact) RETURNS SETOF fact LANGUAGE sql STABLE PARALLEL SAFE
BEGIN ATOMIC
    SELECT f.* FROM fact f
    WHERE f.card_ref = k.card_ref AND f.milestone = k.milestone AND left(f.mark, 13) = left(k.mark, 13)
        AND (f.attempt, f.consignment_id) IS NOT DISTINCT FROM (k.attempt, k.consignment_id)
    UNION ALL
    SELECT f.* FROM fact f
    WHERE k.card_ref IS NULL AND f.card_ref IS NULL AND f.consignment_id = k.consignment_id
        AND f.milestone = k.milestone AND left(f.mark, 13) = left(k.mark, 13)
        AND f.attempt IS NOT DISTINCT FROM k.attempt;
END;

-- Facts that did not happen, by their identity: each of their reporters has annulled his own word, and nobody else's.
CREATE VIEW annulled_fact AS
SELECT DISTINCT fact_key(k) AS fact FROM fact k WHERE k.corrects AND NOT EXISTS (
    SELECT FROM same_facts(k) o WHERE NOT o.corrects AND NOT EXISTS (
        SELECT FROM same_facts(o) c WHERE c.corrects AND reporter_of(c) = reporter_of(o)));
