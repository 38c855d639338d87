"""Dead letters are sent again until they are applied."""

from __future__ import annotations

import pytest
from ledger_fixture import (
    OPENS,
    item,
    make_cohort,
    merge,
    report,
)

from issuance.errors import Refused
from issuance.ledger.connection import Connection
from issuance.tracking.replay import replay_message
from issuance.wire.refusals import Message, refuse_message


def refused(report_id: str, offset: int = 7) -> Message:
    """A report that is refused."""
    value = {"report_id": report_id}
    return Message("issuance.production.F-ICBC.v1", 0, offset, "F-ICBC", b"k", b"raw", (), value)


def replays(connection: Connection) -> int:
    row = connection.execute("SELECT count(*) FROM outbox WHERE ce_id LIKE 'replay/%'").fetchone()
    return int(row[0]) if row else 0


def test_a_dead_letter_is_sent_again_each_time_until_it_is_applied(ledger: Connection) -> None:
    from issuance.wire.outbox import write_outbox

    ref = make_cohort(ledger, 1)[0]
    message = refused("r1")
    place = (message.topic, message.partition, message.offset)
    write_outbox(ledger, refuse_message(ledger, message, "HASH_DIFFERS", OPENS), OPENS)
    replay_message(ledger, *place, OPENS)
    replay_message(ledger, *place, OPENS)
    assert replays(ledger) == 2
    merge(ledger, report("F-ICBC", "r1", [item("MADE", ref, 1)]))
    with pytest.raises(Refused, match="ALREADY_APPLIED"):
        replay_message(ledger, *place, OPENS)
    with pytest.raises(Refused, match="DEAD_LETTER_UNKNOWN"):
        replay_message(ledger, message.topic, 0, 99, OPENS)
    assert replays(ledger) == 2
