CREATE TABLE journal (
    day date NOT NULL,
    report_id text NOT NULL,
    item int NOT NULL,
    card_ref uuid NOT NULL,
    attempt smallint NOT NULL,
    milestone text NOT NULL,
    occurred_at bigint NOT NULL,
    handover text
);
CREATE INDEX ON journal (card_ref);

CREATE TABLE plastic (
    card_ref uuid NOT NULL,
    attempt smallint NOT NULL,
    state text NOT NULL,
    since bigint NOT NULL,
    PRIMARY KEY (card_ref, attempt)
);

CREATE TABLE position (
    topic text NOT NULL,
    partition int NOT NULL,
    next bigint NOT NULL,
    PRIMARY KEY (topic, partition)
);
