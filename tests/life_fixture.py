"""A cohort that has lived: handed out, activated and stated; and one divided among several partners."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

from ledger_fixture import (
    OPENS,
    decide_all,
    item,
    make_cohort,
    merge,
    report,
    tamper,
)
from psycopg.types.json import Jsonb

from issuance.clock import instant_on
from issuance.ledger.connection import Connection
from issuance.reconcile.statements import count_cohorts

HOLDER = [{"role": "HOLDER", "reference": "seen"}]


def live(connection: Connection, cards: int = 4) -> list[UUID]:
    """A cohort that has come to its end: made, handed over, collected, activated, in both statements."""
    refs = make_cohort(connection, cards)
    connection.execute(
        "INSERT INTO part (cohort_no, submission, part, object, file, lines, rows)"
        " VALUES (1, 0, 1, 'o', 'f.csv', %s::int4multirange, %s)",
        (f"{{[2,{cards + 2})}}", cards),
    )
    connection.execute("INSERT INTO tally SELECT 1, state, count(*) FROM card GROUP BY state")
    place = {"handover_id": "H1", "handover_count": cards, "to_place": "ICBC-001"}
    merge(
        connection,
        report("F-ICBC", "1", [item("JOB_ACCEPTED", None, 1)], kind="JOB", job_id="J1"),
        report("F-ICBC", "2", [item(name, ref, 2) for ref in refs for name in ("MADE", "BANK_KEYED")]),
        report("HRSS-BJ", "3", [item("SS_KEYED", ref, 3) for ref in refs]),
        report("F-ICBC", "4", [item("HANDED_OVER", ref, 4) for ref in refs], **place),
        report("ICBC", "5", [item("RECEIVED_AT_PLACE", ref, 5, place="ICBC-001") for ref in refs], **place),
        report("ICBC", "6", [item("COLLECTED", ref, 6, place="ICBC-001", actors=HOLDER) for ref in refs]),
        report("HRSS-BJ", "7", [item("SS_ACTIVATED", ref, 7) for ref in refs]),
        report("ICBC", "8", [item("FINANCE_ACTIVATED", ref, 8) for ref in refs]),
    )
    for partner, function in (("HRSS-BJ", "ss"), ("ICBC", "finance")):
        state_list(connection, partner, function, refs)
    decide_all(connection)
    connection.execute("UPDATE cohort SET state = 'DISPATCHED'")
    return refs


def state_list(connection: Connection, partner: str, function: str, refs: list[UUID], number: int = 1) -> None:
    """A complete statement of one chunk."""
    day = OPENS + timedelta(days=8 + 7 * number)
    values = {
        "p": partner,
        "s": f"S{number}",
        "f": function,
        "d": day,
        "a": instant_on(day, 20),
        "n": len(refs),
        "refs": refs,
        "attempts": [1] * len(refs),
    }
    connection.execute(
        "INSERT INTO statement_chunk VALUES (%(p)s, %(s)s, 1, %(f)s, %(d)s, %(a)s, 1, 1, %(n)s, '', '', %(refs)s,"
        " %(attempts)s)",
        values,
    )
    values["cohorts"] = Jsonb(count_cohorts(connection, refs))
    connection.execute(
        "INSERT INTO statement VALUES (%(p)s, %(s)s, %(f)s, %(d)s, %(a)s, 1, %(n)s, %(cohorts)s, %(d)s)", values
    )


def divided(connection: Connection) -> list[UUID]:
    """Six cards: of two banks and factories, one handed out by HRSS, with breaks of every kind of partner."""
    refs = live(connection, 6)
    connection.execute(
        "INSERT INTO job (job_id, cohort_no, wave, bank, factory, due_on, start_on, card_count, hash_total, remake)"
        " SELECT 'J2', cohort_no, wave, 'ABC', 'F-ABC', due_on, start_on, 2, '', false FROM job"
    )
    connection.execute(
        "INSERT INTO sealed_job (job_id, cohort_no, wave, object, sha256, key_id, algorithm, sealed_on, sent_on)"
        " SELECT 'J2', cohort_no, wave, object, sha256, key_id, algorithm, sealed_on, sent_on FROM sealed_job"
    )
    of_abc = (refs[4:],)
    tamper(connection, "UPDATE job_item SET job_id = 'J2' WHERE card_ref = ANY (%s)", of_abc)
    connection.execute(
        "UPDATE plastic SET job_id = 'J2', bank = 'ABC', factory = 'F-ABC' WHERE card_ref = ANY (%s)", of_abc
    )
    connection.execute("UPDATE card SET bank = 'ABC', factory = 'F-ABC' WHERE card_ref = ANY (%s)", of_abc)
    connection.execute("UPDATE card SET collection_method = 'employer' WHERE card_ref = %s", (refs[3],))
    merge(
        connection,
        report("F-ABC", "a", [item("JOB_ACCEPTED", None, 1)], kind="JOB", job_id="J2"),
        report("HRSS-BJ", "u", [item("OLD_CARD_USED", refs[0], 9)]),
        report("F-ABC", "m", [item("MADE", refs[4], 3)]),
        report("F-ICBC", "n", [item("MADE", refs[5], 3)]),
        report(
            "HRSS-BJ", "d", [item("DESTROYED", refs[1], 5, actors=[{"role": "WITNESS", "reference": n} for n in "ab"])]
        ),
    )
    state_list(connection, "ICBC", "finance", refs[:4], 2)
    state_list(connection, "ABC", "finance", refs[4:], 2)
    decide_all(connection)
    return refs
