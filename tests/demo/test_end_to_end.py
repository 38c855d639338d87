"""The demo by its public command, through a real scheduler, once undisturbed and once with every worker killed."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import psycopg
import pytest
import requests
from botocore.config import Config
from demo_fixture import ROOT, Run, run_demo, stop
from kafka import TopicPartition
from wire_fixture import wait_for

from issuance.airflow.client import Airflow, fetch_token
from issuance.wire.kafka import Credentials, make_consumer

SEED = 7
DEMO = ("--cards", "200", "--seed", str(SEED))


def kill_in_life(line: str, env: dict[str, str]) -> None:
    """Kill the workers once the cohort's life begins."""
    if line.startswith("· life"):
        threading.Thread(target=kill_workers, args=(env,), daemon=True).start()


def kill_workers(env: dict[str, str]) -> None:
    """kill -9, by id, every consumer and the relay, in a seeded order at seeded moments."""
    choice = random.Random(SEED)
    rows = json.loads(
        subprocess.run(
            [sys.executable, "-m", "issuance.cli", "stack", "status", "--json"], env=env, cwd=ROOT, capture_output=True,
            text=True, check=True,
        ).stdout
    )  # fmt: skip
    workers = [row["pid"] for row in rows if row["name"].startswith("consume-") or row["name"] == "relay"]
    choice.shuffle(workers)
    pause = threading.Event()
    for pid in workers:
        os.kill(pid, signal.SIGKILL)
        pause.wait(choice.uniform(0.3, 2.0))


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    """The undisturbed demo."""
    run = run_demo(tmp_path_factory.mktemp("e2e") / "stack", *DEMO)
    yield run
    stop(run)


@pytest.fixture(scope="module")
def digest(demo: Run) -> str:
    """Its digest."""
    return demo.issuance("ledger", "digest").stdout.strip()


def test_the_cohort_closes_every_equation_holds_and_planted_is_found(demo: Run) -> None:
    assert demo.result["state"] == "closed"
    assert [e["name"] for e in demo.result["equations"] if not e["holds"]] == []
    assert demo.result["breaks"] == {}
    assert demo.result["differences"] == 0
    planted = demo.result["planted"]
    assert {kind for kind, counts in planted.items() if counts["planted"] != counts["found"]} == set()
    assert sum(counts["planted"] for counts in planted.values()) > 0


def test_an_altered_truth_line_is_seen(demo: Run) -> None:
    assert demo.issuance("demo", "--seed", str(SEED), "--recheck").returncode == 0
    truth = demo.directory / "demo" / f"demo-{SEED}" / "truth-factory.jsonl"
    whole = truth.read_text(encoding="utf-8")
    first = json.loads(whole.splitlines()[-1])
    altered = json.dumps(first | {"occurred_at": "2025-10-09T00:00:00.001+08:00"})
    truth.write_text("\n".join([*whole.splitlines()[:-1], altered]) + "\n", encoding="utf-8")
    try:
        done = demo.issuance("demo", "--seed", str(SEED), "--recheck")
    finally:
        truth.write_text(whole, encoding="utf-8")
    assert done.returncode == 1
    assert "DIFFERS: fact done and not found" in done.stdout
    assert "DIFFERS: fact found and not done" in done.stdout


def test_the_ledger_verifies_and_rebuilds_to_the_same(demo: Run, digest: str) -> None:
    assert demo.issuance("ledger", "verify").stdout.strip() == "(无 / none)"
    home = {"XDG_CONFIG_HOME": str(demo.directory / "demo" / "home" / "releaser")}
    assert Run(demo.directory, demo.env | home, {}, "").issuance("ledger", "rebuild").returncode == 0
    assert demo.issuance("ledger", "digest").stdout.strip() == digest
    assert demo.issuance("ledger", "verify").returncode == 0


def test_a_second_demo_on_the_same_ledger_says_so_and_stops(demo: Run) -> None:
    done = demo.issuance("demo", "--cards", "200", "--seed", "8")
    assert done.returncode == 1
    assert "LEDGER_NOT_EMPTY" in done.stderr


def test_every_read_answers_in_json(demo: Run) -> None:
    def read(*words: str) -> Any:
        done = demo.issuance(*words, "--json")
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    cohort = f"demo-{SEED}"
    assert [row["cohort_id"] for row in read("cohort", "list")] == [cohort]
    assert read("cohort", "show", cohort)["waves"][0]["released_by"] == "releaser"
    assert read("cohort", "statement", cohort)["state"] == "closed"
    assert sum(age["cards"] for age in read("cohort", "ages", cohort)) == 200
    assert read("cohort", "due", cohort, "--within", "0") == []
    refused = read("quarantine", "list", cohort)
    assert {row["outcome"] for row in refused} <= {"quarantined", "duplicate"}
    assert all(row["remedy"] for row in refused)
    assert {job["state"] for job in read("job", "list", "--cohort", cohort)} <= {"complete", "refused", "cancelled"}
    breaks = read("break", "list", "--all")
    assert breaks
    assert [row for row in read("break", "list") if row["holds"]] == []
    card = read("card", "show", next(row["reference"].split("/")[0] for row in breaks if row["kind"] == "OUT_OF_ORDER"))
    assert {fact["milestone"] for fact in card["facts"]} >= {"MADE", "SS_KEYED"}
    assert [found["card_ref"] for found in read("card", "find", card["application_id"])] == [card["card_ref"]]
    assert {row["partner"] for row in read("partner", "list")} > {"HRSS-BJ", "EMS"}
    assert read("dlq", "list") == []
    assert len(read("topics", "list")) > 100
    assert read("ledger", "verify") == []


def test_a_run_that_failed_for_good_is_a_break_that_names_it(demo: Run) -> None:
    env = demo.settings
    airflow = Airflow.log_in(env["AIRFLOW_API_URL"], "pipeline", env["AIRFLOW_USER_PIPELINE_PASSWORD"])
    airflow.start_run("card_dispatch", {"cohort_id": "nobody", "wave": 1}, "nobody.1")
    wait_for(lambda: airflow.run_state("card_dispatch", "nobody.1") == "failed", 120)
    starter = airflow.start_run("cohort_starter", {})
    wait_for(lambda: airflow.run_state("cohort_starter", starter) == "success", 120)
    breaks = json.loads(demo.issuance("break", "list", "--json").stdout)
    holding = [(b["kind"], b["reference"]) for b in breaks if b["holds"]]
    assert holding == [("PIPELINE_FAILED", "card_dispatch nobody.1")]


def test_an_approval_set_to_success_releases_nothing(demo: Run, tmp_path: Path) -> None:
    env = demo.settings
    demo.env["XDG_CONFIG_HOME"], demo.env["ISSUANCE_PASSWORD"] = str(tmp_path), env["AIRFLOW_USER_SUBMITTER_PASSWORD"]
    assert demo.issuance("login", "submitter").returncode == 0
    assert demo.issuance("generate", str(tmp_path), "--cards", "20", "--seed", "99").returncode == 0
    rows = json.loads((tmp_path / "truth.json").read_text(encoding="utf-8"))["rows"]
    words = ["--city", "110000", "--category", "retiree", "--opens", "2025-10-09", "--declared", str(rows)]
    done = demo.issuance("submit", str(tmp_path / "applications.csv"), "--cohort", "mine", *words, "--wait", "--json")
    assert json.loads(done.stdout)["state"] == "accepted", done.stderr
    airflow = Airflow.log_in(env["AIRFLOW_API_URL"], "pipeline", env["AIRFLOW_USER_PIPELINE_PASSWORD"])
    wait_for(lambda: airflow.run_state("card_dispatch", "mine.1") is not None, 120)
    wait_for(lambda: bool(airflow.pending_approvals("card_dispatch", "mine.1")), 120)
    refused = demo.issuance("cohort", "release", "mine", "1")
    assert (refused.returncode, refused.stderr.split(":")[0]) == (1, "SAME_PERSON")
    set_to_success(env, "card_dispatch/dagRuns/mine.1/taskInstances/wait_for_release")
    wait_for(lambda: airflow.run_state("card_dispatch", "mine.1") == "failed", 120)
    assert "seal_jobs" in airflow.failed_tasks("card_dispatch", "mine.1")
    jobs = json.loads(demo.issuance("job", "list", "--cohort", "mine", "--json").stdout)
    assert {job["state"] for job in jobs} == {"planned"}


def set_to_success(env: dict[str, str], task: str) -> None:
    """Set a task to success by hand, as an administrator can in Airflow's pages."""
    token = fetch_token(env["AIRFLOW_API_URL"], "pipeline", env["AIRFLOW_USER_PIPELINE_PASSWORD"])
    answer = requests.patch(
        f"{env['AIRFLOW_API_URL']}/api/v2/dags/{task}",
        json={"new_state": "success"},
        headers={"Authorization": f"Bearer {token}"},
        timeout=30,
    )
    assert answer.status_code == 200, answer.text


def test_planted_persons_are_found_nowhere_outside_sealed_objects(demo: Run) -> None:
    place = demo.directory / "demo" / f"demo-{SEED}"
    canaries = json.loads((place / "canaries.json").read_text(encoding="utf-8"))
    values = {value for person in canaries for value in person.values() if value}
    assert len(values) >= 8
    needles = {value: [value.encode(), json.dumps(value)[1:-1].encode()] for value in values}
    own_files = {"applications.csv", "canaries.json"}
    searched = 0
    for name, content in [*kafka_messages(demo), *database_dumps(demo), *stored_objects(demo), *files(demo, own_files)]:
        searched += len(content)
        found = [value for value, forms in needles.items() if any(form in content for form in forms)]
        assert not found, f"{len(found)} planted values in {name}"
    assert searched > 1_000_000
    submitted = (place / "applications.csv").read_bytes()
    assert all(value.encode() in submitted for person in canaries for value in (person["id_number"],))


def kafka_messages(run: Run) -> Iterator[tuple[str, bytes]]:
    """Every message of every topic, key and headers included."""
    env = run.settings
    consumer = make_consumer(
        Credentials(env["KAFKA_BOOTSTRAP_SERVERS"], env["KAFKA_ADMIN_USER"], env["KAFKA_ADMIN_PASSWORD"]), None
    )
    partitions = [TopicPartition(topic, 0) for topic in sorted(consumer.topics()) if topic.startswith("issuance.")]
    ends = {partition: end for partition, end in consumer.end_offsets(partitions).items() if end}
    consumer.assign(list(ends))
    consumer.seek_to_beginning(*ends)
    read = 0
    while any(consumer.position(partition) < end for partition, end in ends.items()):
        for partition, records in consumer.poll(timeout_ms=500).items():
            for record in records:
                read += 1
                yield partition.topic, repr(record.headers).encode() + (record.key or b"") + (record.value or b"")
    consumer.close()
    assert read > 100


def database_dumps(run: Run) -> Iterator[tuple[str, bytes]]:
    """Every row of the ledger and of Airflow's metadata, as text."""
    env = run.settings
    airflow = env["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"].replace("+psycopg2", "")
    for name, url in (("ledger", env["DATABASE_URL"]), ("airflow", airflow)):
        with psycopg.connect(url) as connection:
            tables = connection.execute(
                "SELECT quote_ident(table_name) FROM information_schema.tables WHERE table_schema = 'public'"
                " AND table_type = 'BASE TABLE'"
            ).fetchall()
            for (table,) in tables:
                with connection.cursor().copy(f"COPY (SELECT * FROM {table}) TO STDOUT") as copy:
                    yield f"{name}.{table}", b"".join(bytes(chunk) for chunk in copy)


def stored_objects(run: Run) -> Iterator[tuple[str, bytes]]:
    """Every object on S3 with its key; sealed content must not show through either."""
    env = run.settings
    client = boto3.client(
        "s3",
        endpoint_url=env["S3_ENDPOINT_URL"],
        aws_access_key_id=env["S3_ACCESS_KEY"],
        aws_secret_access_key=env["S3_SECRET_KEY"],
        region_name="us-east-1",
        config=Config(s3={"addressing_style": "path"}),
    )
    keys = [
        entry["Key"]
        for page in client.get_paginator("list_objects_v2").paginate(Bucket=env["S3_BUCKET"])
        for entry in page.get("Contents", [])
    ]
    assert len(keys) > 20
    for key in keys:
        yield key, key.encode() + client.get_object(Bucket=env["S3_BUCKET"], Key=key)["Body"].read()


def files(run: Run, own: set[str]) -> Iterator[tuple[str, bytes]]:
    """Every log and other file under the stack's folder, but for the submitted package itself."""
    for path in sorted(run.directory.rglob("*")):
        inside = path.relative_to(run.directory).parts[0]
        if path.is_file() and path.name not in own and inside not in ("postgres", "s3"):
            yield str(path), path.read_bytes()


def test_killing_every_consumer_and_the_relay_gives_the_same_digest(
    demo: Run, digest: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    stop(demo)
    disturbed = run_demo(tmp_path_factory.mktemp("killed") / "stack", *DEMO, at_line=kill_in_life)
    try:
        assert disturbed.result["state"] == "closed"
        assert disturbed.issuance("ledger", "digest").stdout.strip() == digest
        assert disturbed.issuance("ledger", "verify").returncode == 0
    finally:
        stop(disturbed)
