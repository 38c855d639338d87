"""A run: real consumers and relay read what every partner sends, paused partners are resumed, and then it is judged."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from zlib import crc32

from click.testing import CliRunner
from confluent_kafka import Producer
from desk_fixture import logged_in
from wire_fixture import Wire, credentials_of

from consumers import STAGES
from fuzz.judge import Judge
from fuzz.messages import Sent, messages
from fuzz.world import World, make_world
from issuance.city.partners import topic_of
from issuance.cli import cli
from issuance.ledger.connection import connect
from issuance.passes import run_clocks
from issuance.settings import Settings
from issuance.wire.bounds import bounds_of
from issuance.wire.kafka import Credentials, librdkafka_options, our_credentials
from issuance.wire.pauses import paused_partners
from issuance.wire.relay import unsent_count

CODECS = ("none", "gzip", "snappy", "lz4", "zstd")
BOMB = 20 * 1024 * 1024
BOMBS = 2000
"""Messages to a batch that unpacks to more than may be."""
PATIENCE = 180.0
FAMILIES = ("production", "mail", "collection", "activation", "statements", "holder-events", "cohort-submissions")


class Run:
    """One run and what came of it."""

    def __init__(self, world: World, directory: Path) -> None:
        self.world = world
        self._wire = Wire(world.settings, world.settings.database_url)
        self._producers: dict[tuple[str | None, str], Producer] = {}
        self._relay: subprocess.Popen[bytes] | None = None
        self._log = directory / "relay.log"
        self.places: dict[int, tuple[str, int, int]] = {}
        """Number of a message: where it lies."""
        self.resumed = 0

    @contextmanager
    def processes(self) -> Iterator[None]:
        """Consumers of every stage and the relay, as in life."""
        os.environ["ISSUANCE_PARTNERS"] = str(self.world.settings.partners_file)
        self._wire.start(*STAGES)
        env = {**os.environ, "DATABASE_URL": self.world.settings.database_url, "PYTHONPATH": os.pathsep.join(sys.path)}
        with self._log.open("wb") as log:
            command = [sys.executable, "-m", "producers.outbox"]
            self._relay = subprocess.Popen(command, env=env, stderr=log, start_new_session=True)
        try:
            yield
        finally:
            self._relay.terminate()
            self._wire.close()
            self._relay.wait(timeout=30)
            del os.environ["ISSUANCE_PARTNERS"]

    def ended(self) -> list[str]:
        """Processes that are not running any more."""
        relay = ["relay"] if self._relay is None or self._relay.poll() is not None else []
        return [*relay, *(stage for stage, process in self._wire._processes.items() if process.poll() is not None)]

    def send(self, sent: Sent) -> None:
        """Send one message as its partner, with its client's own codec."""
        topic = topic_of(sent.family, sent.partner)
        raw = sent.raw
        if sent.value is not None:
            raw = self.world.frame(sent.record, sent.value, sent.partner, sent.family)
        producer = self._producer(sent.partner, CODECS[crc32((sent.partner or "").encode()) % len(CODECS)])
        producer.produce(topic, raw, sent.key, headers=sent.headers, on_delivery=self._noted(sent.number))
        producer.poll(0)

    def send_bomb(self, number: int, partner: str, family: str) -> None:
        """A batch that is small on the wire and unpacks to more than may be."""
        producer = self._producer(partner, "zstd")
        producer.flush(30)
        producer.produce(topic_of(family, partner), bytes(BOMB), b"key", on_delivery=self._noted(number))
        producer.flush(30)

    def _noted(self, number: int) -> Callable[[Any, Any], None]:
        def note(error: Any, message: Any) -> None:
            assert error is None, error
            self.places[number] = (message.topic(), message.partition(), message.offset())

        return note

    def _producer(self, partner: str | None, codec: str) -> Producer:
        known = (partner, codec)
        if known not in self._producers:
            settings = self.world.settings
            user: Credentials = credentials_of(settings, partner) if partner else our_credentials(settings)
            self._producers[known] = Producer(
                {
                    **librdkafka_options(user),
                    "compression.type": codec,
                    "message.max.bytes": 2 * BOMB,
                    "linger.ms": 20,
                    "log_level": 0,
                }
            )
        return self._producers[known]

    def flush(self) -> None:
        """Until everything is acknowledged."""
        for producer in self._producers.values():
            assert producer.flush(60) == 0

    def resume_paused(self) -> None:
        """Resume by the public command whoever is paused."""
        with connect(self.world.settings.database_url) as connection:
            paused = sorted(paused_partners(connection))
        for partner in paused:
            done = CliRunner().invoke(cli, ["partner", "resume", partner])
            assert done.exit_code == 0, done.output
            self.resumed += 1

    def await_quiet(self) -> None:
        """Until everything is read and everything that is said is sent; paused partners are resumed meanwhile."""
        moved, last = time.monotonic(), None
        while True:
            self.resume_paused()
            with connect(self.world.settings.database_url) as connection:
                waiting = (self._wire.lag(*FAMILIES), unsent_count(connection))
            if waiting == (0, 0):
                return
            if waiting != last:
                moved, last = time.monotonic(), waiting
            if time.monotonic() - moved > PATIENCE or self.ended():
                raise TimeoutError(f"{waiting[1]} unsent, ended: {self.ended()}; {self._standing()}")
            time.sleep(0.3)

    def _standing(self) -> str:
        """What is unread, and the faults that may say why."""
        with connect(self.world.settings.database_url) as connection:
            faults = connection.execute("SELECT kind, reference, detail FROM fault").fetchall()
            paused = sorted(paused_partners(connection))
        return f"unread {self._wire.lags(*FAMILIES)}; paused {paused}; faults {faults}"


def fuzz(stack: Settings, directory: Path, count: int, seed: int, whole: bool) -> tuple[list[str], str]:
    """What went wrong, and a line of counts. `whole`: every line of the bounds table must have been tried."""
    world = make_world(stack, directory, f"ledger_fuzz_{seed}")
    os.environ["DATABASE_URL"] = world.settings.database_url
    run, told, tried = Run(world, directory), [], Counter[tuple[str, str, str]]()
    findings: list[str] = []
    with logged_in(world.settings, directory, "tester", ("resolve",)), run.processes():
        for sent in messages(world, count, seed):
            run.send(sent)
            told.append(sent)
            tried.update([sent.line] if sent.line else [])
            if sent.number % min(BOMBS, count) == min(BOMBS, count) // 2 and sent.partner:
                told.append(Sent(count + sent.number, sent.partner, sent.family, "refused", None))
                run.send_bomb(count + sent.number, sent.partner, sent.family)
            if sent.number % 50 == 0:
                run.resume_paused()
        run.flush()
        run.await_quiet()
        findings += [f"the process of {name} has ended" for name in run.ended()]
        run_clocks(world.settings)
        run.await_quiet()
    with connect(world.settings.database_url) as connection:
        judge = Judge(connection)
        fates = {sent.number: judge.fate(sent, run.places[sent.number]) for sent in told}
        findings += [
            f"{sent.number} {sent.line or sent.family}: {fate.wrong}"
            for sent in told
            if (fate := fates[sent.number]).wrong
        ]
        findings += [
            f"fault {kind} {ref}: {detail}"
            for kind, ref, detail in connection.execute("SELECT kind, reference, detail FROM fault")
        ]
    if whole:
        lines = {
            (record, path, side)
            for record in (*_records(), "sealed")
            for path in bounds_of(record)
            for side in ("at", "past")
        }
        findings += [f"not tried: {line}" for line in sorted(lines - set(tried))]
    world.codec.close()
    return findings, _counted(fates.values(), told, run.resumed)


def _records() -> tuple[str, ...]:
    return ("card_report", "statement", "holder_event", "cohort_submission")


def _counted(fates: Any, told: list[Sent], resumed: int) -> str:
    counts = Counter(fate.name for fate in fates)
    sound = sum(sent.expect == "applied" for sent in told)
    listed = ", ".join(f"{number:,} {name}" for name, number in sorted(counts.items()))
    return f"{len(told):,} messages, {sound:,} of them sound: {listed}; {resumed} pauses resumed"
