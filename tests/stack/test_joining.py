"""Partners come and go on the real stack while others run: added, rotated, suspended, resumed, removed."""

from __future__ import annotations

import json
import shutil
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner
from cohort_fixture import TODAY, add_cohort, empty, plan_as
from desk_fixture import LogIn
from kafka import TopicPartition
from kafka.errors import KafkaError
from ledger_fixture import item, report
from wire_fixture import Wire, credentials_of, wait_for

from issuance.city.partners import load_registry, topic_of
from issuance.cli import cli
from issuance.clock import instant_on
from issuance.dispatch.seal import Job, Sealer
from issuance.errors import IssuanceError, Misconfigured, Refused
from issuance.ledger.audit import verify_audit
from issuance.ledger.connection import connect
from issuance.membership.entries import SHIPPED, add_entries, change_registry
from issuance.settings import Settings, read_env_file
from issuance.stack.s3 import admits
from issuance.wire.kafka import Credentials, make_consumer, make_producer
from issuance.wire.pauses import paused_partners

ENTRIES = """
factories:
  F-NEW: {capacity: 3000}
banks:
  NEWB: {primary: F-NEW}
"""


class Desk:
    """The command line of a registry and a ledger of its own, as the user 'planner'."""

    def __init__(self, settings: Settings, log: Path) -> None:
        self.settings = settings
        self.said = log

    def do(self, *words: str) -> str:
        """Run a command that succeeds."""
        done = CliRunner().invoke(cli, ["partner", *words])
        assert done.exit_code == 0, (done.output, done.exception)
        with self.said.open("a", encoding="utf-8") as file:
            file.write(done.output)
        return done.output

    def fail(self, *words: str) -> IssuanceError:
        """Run one that is refused."""
        done = CliRunner().invoke(cli, ["partner", *words])
        assert isinstance(done.exception, IssuanceError), done.output
        return done.exception

    def env(self, partner: str) -> dict[str, str]:
        """A partner's credentials."""
        return read_env_file(self.settings.partner_credentials_dir / partner / "partner.env")

    def acts(self) -> list[tuple[str, str]]:
        """What stands in the audit, in order."""
        with connect(self.settings.database_url) as connection:
            assert verify_audit(connection) == []
            return connection.execute("SELECT act, subject FROM audit ORDER BY number").fetchall()


@pytest.fixture
def desk(
    stack: Settings, ledger_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, log_in: LogIn
) -> Iterator[Desk]:
    empty(ledger_url)
    registry = tmp_path / "partners.yaml"
    shutil.copy(SHIPPED, registry)
    monkeypatch.setenv("DATABASE_URL", ledger_url)
    monkeypatch.setenv("ISSUANCE_PARTNERS", str(registry))
    own = replace(stack, database_url=ledger_url, partners_file=registry)
    log_in(own, "planner")
    yield Desk(own, tmp_path / "said.log")
    for name in ("NEWB", "F-NEW"):
        if name in load_registry(registry).partners:
            CliRunner().invoke(cli, ["partner", "remove", name, "--note", "end of the test"])


def writes(credentials: Credentials, topic: str) -> bool:
    """Whether a user may come in and write; a wrong password looks like a broker that does not answer."""
    try:
        producer = make_producer(replace(credentials))
        try:
            producer.send(topic, b"\x00probe").get(timeout=5)
        finally:
            producer.close(timeout=1)
    except KafkaError:
        return False
    return True


def reads(credentials: Credentials, topic: str) -> bool:
    """Whether a user may come in and read."""
    try:
        consumer = make_consumer(credentials, None)
        try:
            consumer.assign([TopicPartition(topic, 0)])
            consumer.beginning_offsets([TopicPartition(topic, 0)])
        finally:
            consumer.close()
    except KafkaError:
        return False
    return True


class Traffic:
    """Another partner that goes on writing and reading all the while."""

    def __init__(self, settings: Settings) -> None:
        credentials = credentials_of(settings, "F-ABC")
        self._producer, self._consumer = make_producer(credentials), make_consumer(credentials, None)
        self._consumer.assign([TopicPartition(topic_of("card-jobs", "F-ABC"), 0)])
        self._ending = threading.Event()
        self.sent, self.errors = 0, list[BaseException]()
        self._thread = threading.Thread(target=self._go_on)
        self._thread.start()

    def _go_on(self) -> None:
        try:
            while not self._ending.is_set():
                self._producer.send(topic_of("production", "F-ABC"), b"\x00going on").get(timeout=10)
                self._consumer.poll(timeout_ms=50)
                self._consumer.end_offsets([TopicPartition(topic_of("card-jobs", "F-ABC"), 0)])
                self.sent += 1
        except BaseException as error:
            self.errors.append(error)

    def end(self) -> None:
        """Stop it."""
        self._ending.set()
        self._thread.join(timeout=30)
        self._producer.close()
        self._consumer.close()


@pytest.mark.slow  # in small: the tests below, one act each
def test_a_bank_with_its_factory_comes_rotates_is_suspended_and_goes_while_another_goes_on(
    desk: Desk, tmp_path: Path
) -> None:
    traffic = Traffic(desk.settings)
    entries = tmp_path / "new.yaml"
    entries.write_text(ENTRIES, encoding="utf-8")
    try:
        came(desk, entries)
        rotated(desk)
        suspended_and_resumed(desk)
        gone(desk)
        before = traffic.sent
        wait_for(lambda: traffic.sent > before + 3 or bool(traffic.errors))
    finally:
        traffic.end()
    assert traffic.errors == []
    assert desk.acts() == [
        ("add partner", "F-NEW"), ("add partner", "NEWB"), ("add partner", "F-NEW"), ("add partner", "NEWB"),
        ("rotate partner", "F-NEW"), ("rotate partner", "F-NEW"),
        ("suspend partner", "F-NEW"), ("resume", "F-NEW"), ("remove partner", "NEWB"), ("remove partner", "F-NEW"),
    ]  # fmt: skip
    said = desk.said.read_text(encoding="utf-8")
    assert not [name for name, value in desk.env("F-ABC").items() if "PASSWORD" in name and value in said]


def came(desk: Desk, entries: Path) -> None:
    """Both may come in, and have schemas, keys and folders of mode 600."""
    desk.do("add", str(entries))
    desk.do("add", str(entries))  # again is the same
    assert "# The demo registry" in desk.settings.partners_file.read_text(encoding="utf-8"), "comments stay"
    assert writes(credentials_of(desk.settings, "F-NEW"), topic_of("production", "F-NEW"))
    assert reads(credentials_of(desk.settings, "NEWB"), topic_of("partner-notices", "NEWB"))
    assert not writes(credentials_of(desk.settings, "NEWB"), topic_of("production", "F-NEW"))
    env = desk.env("F-NEW")
    assert admits(desk.settings.s3_endpoint_url, env["S3_ACCESS_KEY"], env["S3_SECRET_KEY"])
    folder = desk.settings.partner_credentials_dir / "F-NEW"
    assert {path.stat().st_mode & 0o777 for path in folder.iterdir()} == {0o600}
    shown = json.loads(desk.do("show", "F-NEW", "--json"))
    assert (shown["kind"], shown["capacity"], shown["banks"], shown["open"]) == ("factory", 3000, ["NEWB"], {})


def rotated(desk: Desk) -> None:
    """The old password is refused, the new one comes in; of S3 both keys do until the next rotation."""
    old, before = credentials_of(desk.settings, "F-NEW"), desk.env("F-NEW")
    desk.do("rotate", "F-NEW", "--credentials", "--s3")
    new, after = credentials_of(desk.settings, "F-NEW"), desk.env("F-NEW")
    topic = topic_of("production", "F-NEW")
    assert old.password != new.password
    assert (writes(old, topic), writes(new, topic)) == (False, True)
    assert before["S3_ACCESS_KEY"] != after["S3_ACCESS_KEY"]
    assert all(admits(desk.settings.s3_endpoint_url, e["S3_ACCESS_KEY"], e["S3_SECRET_KEY"]) for e in (before, after))
    desk.do("rotate", "F-NEW", "--s3")
    assert not admits(desk.settings.s3_endpoint_url, before["S3_ACCESS_KEY"], before["S3_SECRET_KEY"])
    said = desk.said.read_text(encoding="utf-8")
    assert not any(secret in said for secret in (old.password, new.password, after["S3_SECRET_KEY"]))


def suspended_and_resumed(desk: Desk) -> None:
    """A suspended one is kept out everywhere and paused; a resumed one is back."""
    credentials, env = credentials_of(desk.settings, "F-NEW"), desk.env("F-NEW")
    desk.do("suspend", "F-NEW", "--note", "fire")
    assert not writes(credentials, topic_of("production", "F-NEW"))
    assert not reads(credentials, topic_of("card-jobs", "F-NEW"))
    assert not admits(desk.settings.s3_endpoint_url, env["S3_ACCESS_KEY"], env["S3_SECRET_KEY"])
    (row,) = [row for row in json.loads(desk.do("list", "--json")) if row["partner"] == "F-NEW"]
    assert (row["suspended"], row["reason"]) == (True, "SUSPENDED")
    desk.do("resume", "F-NEW")
    assert writes(credentials, topic_of("production", "F-NEW"))
    assert admits(desk.settings.s3_endpoint_url, env["S3_ACCESS_KEY"], env["S3_SECRET_KEY"])


def gone(desk: Desk) -> None:
    """The factory cannot go before its bank; then both are kept out, and their folders are gone."""
    credentials, env = credentials_of(desk.settings, "F-NEW"), desk.env("F-NEW")
    assert desk.fail("remove", "F-NEW", "--note", "x").code == "REGISTRY_INVALID"
    desk.do("remove", "NEWB", "--note", "merged with another")
    desk.do("remove", "F-NEW", "--note", "closed")
    assert not writes(credentials, topic_of("production", "F-NEW"))
    assert not admits(desk.settings.s3_endpoint_url, env["S3_ACCESS_KEY"], env["S3_SECRET_KEY"])
    assert not (desk.settings.partner_credentials_dir / "F-NEW").exists()
    assert not {"F-NEW", "NEWB"} & set(load_registry(desk.settings.partners_file).partners)


def test_a_running_consumer_takes_the_report_of_a_partner_that_has_just_come(desk: Desk) -> None:
    wire = Wire(desk.settings, desk.settings.database_url)
    try:
        wire.start("production")
        desk.do("add", "--kind", "factory", "--id", "F-NEW", "--capacity", "100")
        value = report("F-ICBC", "r1", [item("JOB_ACCEPTED", None, 1)], kind="JOB", job_id="J9").value
        value |= {"partner": "F-NEW", "reported_at": instant_on(TODAY, 9)}
        wire.send("F-NEW", "production", value)
        with connect(desk.settings.database_url, autocommit=True) as connection:
            query = "SELECT code FROM refused_item WHERE partner = 'F-NEW'"
            wait_for(lambda: bool(connection.execute(query).fetchall()), 90)
            # the partner is known; the job is not
            assert connection.execute(query).fetchall() == [("JOB_UNKNOWN",)]
    finally:
        wire.close()


def test_a_partner_with_something_open_does_not_go_and_it_is_named(desk: Desk) -> None:
    with connect(desk.settings.database_url) as connection:
        add_cohort(connection, "c1", [("ICBC", TODAY)])
        connection.execute(
            "INSERT INTO break (break_id, cohort_no, kind, reference, answers_for, opened_on)"
            " VALUES (gen_random_uuid(), 1, 'SEQUENCE_GAP', 'ICBC/main', 'ICBC', %s)", (TODAY,)
        )  # fmt: skip
    refused = desk.fail("remove", "ICBC", "--note", "x")
    assert refused.code == "PARTNER_BUSY"
    assert {one["kind"] for one in refused.details["open"]} == {"plastic", "break"}
    assert "SEQUENCE_GAP ICBC/main" in refused.message
    assert desk.acts() == []


def test_a_suspended_factory_gets_no_job_and_the_backup_takes_over(desk: Desk) -> None:
    with connect(desk.settings.database_url) as connection:
        add_cohort(connection, "c1", [("ICBC", TODAY), ("ABC", TODAY)])
    desk.do("suspend", "F-ICBC", "--note", "flood")
    try:
        plan_as(desk.settings, "c1", 1, "planner")
        with pytest.raises(Refused, match="PARTNER_SUSPENDED"):
            Sealer(desk.settings).contents(Job("J", 1, "c1", 1, "ICBC", "F-ICBC", TODAY, 1, "0" * 16))
        with connect(desk.settings.database_url) as connection:
            jobs = connection.execute("SELECT bank, factory FROM job ORDER BY 1").fetchall()
            assert paused_partners(connection) == {"F-ICBC"}
    finally:
        desk.do("resume", "F-ICBC")
    assert jobs == [("ABC", "F-ABC"), ("ICBC", "F-RESERVE")]


def test_who_is_the_last_factory_of_a_bank_is_not_suspended(desk: Desk) -> None:
    before = desk.settings.partners_file.read_bytes()
    desk.do("suspend", "F-CIB", "--note", "flood")
    try:
        error = desk.fail("suspend", "F-PAB", "--note", "flood too")
        assert (error.code, "PAB" in error.message) == ("REGISTRY_INVALID", True)
    finally:
        desk.do("resume", "F-CIB")
    assert load_registry(desk.settings.partners_file).suspended == {}
    assert desk.settings.partners_file.read_bytes().count(b"#") == before.count(b"#")


def test_the_shipped_registry_is_not_changed(tmp_path: Path) -> None:
    with pytest.raises(Refused, match="REGISTRY_SHIPPED"):
        change_registry(SHIPPED, add_entries({"banks": {"X": {"primary": "F-ICBC"}}}))


def test_what_would_be_wrong_is_not_written(tmp_path: Path) -> None:
    path = tmp_path / "partners.yaml"
    shutil.copy(SHIPPED, path)
    with pytest.raises(Misconfigured, match="F-NONE is not a factory"):
        change_registry(path, add_entries({"banks": {"NEWB": {"primary": "F-NONE"}}}))
    with pytest.raises(Refused, match="PARTNER_STANDS"):
        change_registry(path, add_entries({"banks": {"ICBC": {"primary": "F-ABC"}}}))
    assert path.read_bytes() == SHIPPED.read_bytes()
