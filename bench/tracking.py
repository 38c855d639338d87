"""Tracking, from full topics to committed rows, as a ratio to a bare script that reads the same messages.

The bare script (`bench.bare.tracking`, frozen) decodes with fastavro what librdkafka reads and takes 20,000 items a
transaction into a journal with one index and a row a plastic; it checks and answers nothing. Both read the topics of
every factory with one process and with two side by side, into databases of their own. Time begins when every process
has its partitions and ends with the last commit. `python -m bench.tracking [--plastics N]` brings up a stack of its
own, without workers and on other ports, and takes it down.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from multiprocessing import get_context
from typing import Any, NamedTuple
from uuid import UUID

import psycopg
from confluent_kafka import Producer

from bench.own_stack import own_stack  # isort: skip  # before whatever reads where the stack stands
from bench.place import OPENS, add_people, database, empty_database
from bench.sizes import MIB, largest_size
from consumers import STAGES
from issuance.city.partners import load_registry, topic_of
from issuance.clock import instant_on
from issuance.ledger.connection import set_business_day
from issuance.settings import ROOT, Settings
from issuance.wire.avro import encode_body
from issuance.wire.codec import Codec
from issuance.wire.consumer import StageConsumer
from issuance.wire.kafka import librdkafka_options, our_credentials

MILESTONES = ("ITEM_ACCEPTED", "MADE", "HANDED_OVER")
"""A factory's facts about a plastic."""
REPORT = 500
"""Items of a report."""
Topics = dict[str, int]
"""Topic to the number of its messages."""


class Plastics(NamedTuple):
    """The plastics of a factory, all of one job."""

    factory: str
    refs: list[UUID]


def make_plastics(count: int) -> list[Plastics]:
    """Plastics of every factory, in an order that is that of no key."""
    registry = load_registry(ROOT / "policies" / "partners.demo.yaml")
    factories = sorted(partner.id for partner in registry.of_kind("factory"))
    choice, each = random.Random(7), count // len(factories)
    return [
        Plastics(factory, [UUID(int=choice.getrandbits(128), version=4) for _ in range(each)]) for factory in factories
    ]


def fill_topics(settings: Settings, plastics: Sequence[Plastics]) -> tuple[Topics, int]:
    """Every factory's reports in its topic; returns the topics and the items."""
    codec, items = Codec(settings.schema_registry_url), 0
    producer = Producer(librdkafka_options(our_credentials(settings)) | {"compression.type": "gzip", "linger.ms": 50})
    topics: Topics = {}
    for own in plastics:
        topic = topic_of("production", own.factory)
        for sequence, report in enumerate(_reports(own), 1):
            body = encode_body("card_report", report | {"sequence": sequence})
            producer.produce(topic, codec.frame(topic, body), report["report_id"])
            producer.poll(0)
            items += len(report["items"])
            topics[topic] = sequence
    assert producer.flush(60) == 0
    codec.close()
    return topics, items


def _reports(own: Plastics) -> Iterator[dict[str, Any]]:
    head = dict.fromkeys(("job_id", "handover_giver", "hash_total", "card_count", "sha256"))
    empty = dict.fromkeys(("tracking_no", "place", "reason", "action", "code", "return_tracking_no"))
    for day, milestone in enumerate(MILESTONES, 1):
        hands_over = milestone == "HANDED_OVER"
        for start in range(0, len(own.refs), REPORT):
            refs = own.refs[start : start + REPORT]
            at = instant_on(OPENS + timedelta(days=day), 10, start // REPORT % 60)
            yield {
                **head,
                "report_id": f"{milestone}-{start}",
                "partner": own.factory,
                "stream": "main",
                "reported_at": at,
                "kind": "ITEMS",
                "declared_count": len(refs),
                "handover_id": f"H{start // 5000}" if hands_over else None,
                "handover_count": len(own.refs[start // 5000 * 5000 :][:5000]) if hands_over else None,
                "to_place": "ICBC-001" if hands_over else None,
                "items": [
                    {**empty, "card_ref": str(ref), "attempt": 1, "milestone": milestone, "occurred_at": at,
                     "serial": f"S{start + n}" if milestone == "MADE" else None, "actors": [], "corrects": False}
                    for n, ref in enumerate(refs)
                ],
            }  # fmt: skip


def fill_ledger(connection: psycopg.Connection[Any], plastics: Sequence[Plastics]) -> None:
    """A released wave with a sealed job a factory and its plastics."""
    add_people(connection)
    set_business_day(connection, OPENS + timedelta(days=len(MILESTONES) + 1))
    connection.execute(
        "INSERT INTO cohort (cohort_no, cohort_id, city, category, opens_on, state, registered_on)"
        " OVERRIDING SYSTEM VALUE VALUES (1, 'bench', '110000', 'retiree', %s, 'DISPATCHED', %s)",
        (OPENS, OPENS),
    )
    connection.execute(
        "INSERT INTO wave (cohort_no, wave, planned_by, submitters, planned_on, plastics, forecast)"
        " VALUES (1, 1, 'planner', '{submitter}', %s, 1, '{}')",
        (OPENS,),
    )
    connection.execute(
        "INSERT INTO release (cohort_no, wave, planned_by, submitters, released_by, released_on, remakes_allowed)"
        " VALUES (1, 1, 'planner', '{submitter}', 'releaser', %s, 0)",
        (OPENS,),
    )
    for own in plastics:
        connection.execute(
            "INSERT INTO job (job_id, cohort_no, wave, bank, factory, due_on, start_on, card_count, hash_total, remake)"
            " VALUES (%(job)s, 1, 1, 'ICBC', %(job)s, %(day)s, %(day)s, 1, '', false)",
            {"job": own.factory, "day": OPENS},
        )
        connection.execute(
            "INSERT INTO sealed_job (job_id, cohort_no, wave, object, sha256, key_id, algorithm, sealed_on, sent_on)"
            " VALUES (%(job)s, 1, 1, 'o', '', 'k', 'RSA-OAEP-256', %(day)s, %(day)s)",
            {"job": own.factory, "day": OPENS},
        )
        connection.execute(
            "INSERT INTO plastic (card_ref, attempt, job_id, bank, factory)"
            " SELECT unnest(%s::uuid[]), 1, %s, 'ICBC', %s",
            (own.refs, own.factory, own.factory),
        )


def _consume(settings: Settings, reports: Any, begin: Any) -> None:
    """One process of the stage: joins, says how many partitions it has whenever that changes, and steps once told."""
    consumer = StageConsumer(settings, STAGES["production"])
    assigned = -1
    while not begin.is_set():
        consumer._consumer.poll(timeout_ms=50)  # what is assigned is not fetched before the first step
        if assigned != (assigned := len(consumer._consumer.assignment())):
            reports.send(assigned)
    threading.Thread(target=lambda: (reports.recv(), os.kill(os.getpid(), 15)), daemon=True).start()
    consumer.run()
    reports.send(largest_size())


def product(settings: Settings, topics: Topics, processes: int) -> tuple[float, int]:
    """Seconds that consumers of the stage take, and the largest of them in KiB."""
    context = get_context("spawn")
    begin, pipes, workers = context.Event(), [], []
    for _ in range(processes):
        mine, theirs = context.Pipe()
        workers.append(context.Process(target=_consume, args=(settings, theirs, begin)))
        workers[-1].start()
        pipes.append(mine)
    shares = [-1] * processes
    while sum(shares) < len(topics) or max(shares) - min(shares) > 1:
        for number, pipe in enumerate(pipes):
            if pipe.poll(0.1):
                shares[number] = pipe.recv()
    with psycopg.connect(settings.database_url, autocommit=True) as connection:
        begin.set()
        codes = [lambda worker=worker: worker.exitcode for worker in workers]
        query = "SELECT sum(next_offset) FROM topic_position"
        seconds = _until_read(connection, query, sum(topics.values()), codes)
        refused = connection.execute("SELECT (SELECT count(*) FROM dead_letter), count(*) FROM refused_item").fetchone()
        assert refused == (0, 0), refused
    largest = 0
    for pipe, worker in zip(pipes, workers, strict=True):
        pipe.send("end")
        largest = max(largest, pipe.recv())
        worker.join()
    return seconds, largest


@contextmanager
def _bare_database(settings: Settings, plastics: Sequence[Plastics]) -> Iterator[str]:
    """An empty database with the bare script's tables and a row a plastic."""
    with empty_database(settings, "bench_bare_tracking") as url:
        with psycopg.connect(url) as connection:
            connection.execute((ROOT / "bench" / "bare" / "tracking.sql").read_text(encoding="utf-8"))
            for own in plastics:
                connection.execute("INSERT INTO plastic SELECT unnest(%s::uuid[]), 1, 'ORDERED', 0", (own.refs,))
        yield url


def bare(settings: Settings, url: str, topics: Topics, processes: int) -> float:
    """Seconds that bare scripts take, each with its share of the topics."""
    scripts = []
    for number in range(processes):
        ends = [(topic, 0, end) for topic, end in sorted(topics.items())[number::processes]]
        told = json.dumps(
            {
                "database_url": url,
                "kafka": librdkafka_options(our_credentials(settings)),
                "group": "issuance-bench",
                "ends": ends,
            }
        )
        command = [sys.executable, "-m", "bench.bare.tracking"]
        script = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT, text=True)
        scripts.append(script)
        _write(script, told)
    for script in scripts:
        assert script.stdout is not None and script.stdout.readline() == "ready\n"
    with psycopg.connect(url, autocommit=True) as connection:
        for script in scripts:
            _write(script, "begin")
        lives = [script.poll for script in scripts]
        seconds = _until_read(connection, "SELECT sum(next) FROM position", sum(topics.values()), lives)
    assert [script.wait() for script in scripts] == [0] * processes
    return seconds


def _write(script: subprocess.Popen[str], line: str) -> None:
    assert script.stdin is not None
    script.stdin.write(line + "\n")
    script.stdin.flush()


def _until_read(
    connection: psycopg.Connection[Any], query: str, messages: int, codes: Sequence[Callable[[], int | None]]
) -> float:
    """Seconds until the positions have reached so many messages in all; `codes` tell whether a process has failed.

    Raises:
        ChildProcessError: one has, and has said why.
    """
    started = time.perf_counter()
    while True:
        (reached,) = connection.execute(query).fetchone() or (None,)
        if reached is not None and reached >= messages:
            return time.perf_counter() - started
        if any(code() for code in codes):
            raise ChildProcessError("a process has failed")
        time.sleep(0.02)


def compare(settings: Settings, count: int) -> list[str]:
    """A line for one process and one for two."""
    plastics = make_plastics(count)
    topics, items = fill_topics(settings, plastics)
    lines = [f"{items:,} items in {sum(topics.values()):,} messages of {len(topics)} topics"]
    for processes in (1, 2):
        with _bare_database(settings, plastics) as url:
            plain = bare(settings, url, topics, processes)
        with database(settings, "bench_tracking") as own:
            with psycopg.connect(own.database_url) as connection:
                fill_ledger(connection, plastics)
            seconds, largest = product(own, topics, processes)
        lines.append(
            f"{processes} of each: bare {items / plain:,.0f} items/s, tracking {items / seconds:,.0f} items/s,"
            f" ratio {plain / seconds:.2f}; largest process {largest / MIB:,.0f} MiB"
        )
    return lines


def main() -> None:
    """Print the ratios."""
    given = argparse.ArgumentParser(description=main.__doc__)
    given.add_argument("--plastics", type=int, default=200_000, help="three items each")
    options = given.parse_args()
    with own_stack() as settings:
        print(*compare(settings, options.plastics), sep="\n")


if __name__ == "__main__":
    main()
