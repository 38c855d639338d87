"""The demo by its public command, through a real scheduler, once undisturbed and once with every worker killed."""

from __future__ import annotations

import base64
import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from typing import Any

import boto3
import jwt
import psycopg
import pytest
import requests
from botocore.config import Config
from demo_fixture import ROOT, STRANGER, Run, run_demo, stop
from kafka import TopicPartition
from wire_fixture import wait_for

from issuance.airflow.client import Airflow, fetch_token
from issuance.errors import Refused
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
    assert demo.with_login("admin").issuance("ledger", "rebuild").returncode == 0
    assert demo.issuance("ledger", "digest").stdout.strip() == digest
    assert demo.issuance("ledger", "verify").returncode == 0
    refused = demo.with_login("planner").issuance("ledger", "rebuild")
    assert (refused.returncode, refused.stderr.split(":")[0]) == (1, "NOT_ALLOWED")


def test_a_second_demo_on_the_same_ledger_says_so_and_stops(demo: Run) -> None:
    done = demo.issuance("demo", "--cards", "200", "--seed", "8")
    assert done.returncode == 1
    assert "LEDGER_NOT_EMPTY" in done.stderr


def test_every_read_answers_in_json(demo: Run) -> None:
    cohort = f"demo-{SEED}"

    def read(*words: str) -> Any:
        return demo.read("viewer", *words)

    assert [row["cohort_id"] for row in read("cohort", "list")] == [cohort]
    assert read("cohort", "show", cohort)["waves"][0]["released_by"] == "releaser"
    assert read("cohort", "statement", cohort)["state"] == "closed"
    assert sum(age["cards"] for age in read("cohort", "ages", cohort)) == 200
    assert read("cohort", "due", cohort, "--within", "0") == []
    assert read("cohort", "calendar")
    refused = read("quarantine", "list", cohort)
    assert {row["outcome"] for row in refused} <= {"quarantined", "duplicate"}
    assert all(row["remedy"] for row in refused)
    assert {job["state"] for job in read("job", "list", "--cohort", cohort)} <= {"complete", "refused", "cancelled"}
    breaks = read("break", "list", "--all")
    assert breaks
    assert [row for row in read("break", "list") if row["holds"]] == []
    card = read(
        "card",
        "show",
        next(row["reference"].split("/")[0] for row in breaks if row["kind"] == "COLLECTED_NOT_ACTIVATED"),
    )
    assert {fact["milestone"] for fact in card["facts"]} >= {"MADE", "SS_KEYED"}
    assert [found["card_ref"] for found in read("card", "find", card["application_id"])] == [card["card_ref"]]
    assert read("card", "why", card["card_ref"])["plastics"]
    assert {row["partner"] for row in read("partner", "list")} > {"HRSS-BJ", "EMS"}
    assert read("dlq", "list") == []
    assert read("event", "list") == []
    assert [row["cohort_id"] for row in read("retention", "list")] == [cohort]
    assert len(json.loads(demo.issuance("topics", "list", "--json").stdout)) > 100
    assert json.loads(demo.issuance("ledger", "verify", "--json").stdout) == []


def test_a_cohort_of_ones_own_needs_the_desk_alone(demo: Run) -> None:
    """README, "a cohort of your own", on an account that can read neither the stack's folder nor the database."""
    done = demo.as_user("submitter", "generate", "own", "--cards", "30", "--seed", "98")
    assert done.returncode == 0, done.stderr
    rows = json.loads(demo.as_user_file("submitter", "own/truth.json"))["rows"]
    words = ["--cohort", "own", "--city", "110000", "--category", "retiree", "--opens", "2025-10-09"]
    package = ["own/applications.csv", *words, "--declared", str(rows)]
    tried = demo.read("submitter", "submit", *package, "--dry-run")
    assert (tried["state"], tried["rows"]) == ("acceptable", rows)
    assert demo.as_user("submitter", "cohort", "show", "own").returncode == 1, "nothing was submitted"
    assert demo.read("submitter", "submit", *package, "--wait")["state"] == "accepted"
    again = demo.read("submitter", "submit", *package)
    assert (again["submission"], again["state"]) == (0, "accepted"), "the same package is one submission"
    planned = demo.as_user("planner", "cohort", "plan", "own")
    wait_for(lambda: "planned" in str(demo.read("viewer", "job", "list", "--cohort", "own")), 120)
    assert demo.as_user("releaser", "cohort", "release", "own", "1").returncode == 0, planned.stderr
    airflow = pipeline(demo)
    wait_for(lambda: airflow.run_state("card_dispatch", "own.1") == "success", 120)
    wave = demo.read("viewer", "cohort", "show", "own")["waves"][0]
    assert wave["released_by"] == "releaser"
    if STRANGER:
        file = str(demo.directory / "stack.env")
        assert subprocess.run([*STRANGER, "cat", file], capture_output=True, check=False).returncode != 0


def pipeline(run: Run) -> Airflow:
    """Airflow as its administrator."""
    env = run.settings
    return Airflow.log_in(env["AIRFLOW_API_URL"], "pipeline", env["AIRFLOW_USER_PIPELINE_PASSWORD"])


def test_a_run_without_its_row_ends_with_no_plan_and_names_nobody(demo: Run) -> None:
    airflow = pipeline(demo)
    airflow.start_run("card_dispatch", {"cohort_id": "nobody", "wave": 1}, "nobody.1")
    conf = {"cohort_id": f"demo-{SEED}", "wave": 9, "user": "releaser", "planned_by": "u3"}
    airflow.start_run("card_dispatch", conf, f"demo-{SEED}.9")
    for run in ("nobody.1", f"demo-{SEED}.9"):
        wait_for(lambda run=run: airflow.run_state("card_dispatch", run) == "failed", 120)
        assert airflow.failed_tasks("card_dispatch", run)[0] == "plan_wave"
    assert [wave["wave"] for wave in demo.read("viewer", "cohort", "show", f"demo-{SEED}")["waves"]] == [1]
    starter = airflow.start_run("cohort_starter", {})
    wait_for(lambda: airflow.run_state("cohort_starter", starter) == "success", 120)
    breaks = demo.read("viewer", "break", "list")
    failed = {b["reference"] for b in breaks if b["kind"] == "PIPELINE_FAILED" and b["holds"]}
    assert failed == {f"card_dispatch {run}" for run in ("nobody.1", f"demo-{SEED}.9")}


@pytest.fixture(scope="module")
def waiting(demo: Run) -> str:
    """A cohort whose first wave waits for its release."""
    assert demo.as_user("submitter", "generate", "mine", "--cards", "20", "--seed", "99").returncode == 0
    rows = json.loads(demo.as_user_file("submitter", "mine/truth.json"))["rows"]
    words = ["--city", "110000", "--category", "retiree", "--opens", "2025-10-09", "--declared", str(rows)]
    made = demo.read("submitter", "submit", "mine/applications.csv", "--cohort", "mine", *words, "--wait")
    assert made["state"] == "accepted"
    wait_for(lambda: bool(pipeline(demo).pending_approvals("card_dispatch", "mine.1")), 120)
    return "mine"


SPELLINGS = ("SUBMITTER", "Submitter", "submitter@issuance.invalid", " submitter ", "submitter\t")


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_another_spelling_of_a_name_is_the_same_person_or_nobody(demo: Run, waiting: str, spelling: str) -> None:
    env = demo.settings
    answer = requests.post(
        f"{env['DESK_URL']}/api/v1/login", timeout=30,
        json={"user": spelling, "password": env["AIRFLOW_USER_SUBMITTER_PASSWORD"]},
    )  # fmt: skip
    if answer.status_code == 401:
        return
    token = answer.json()["token"]
    assert answer.json()["user_id"] == demo.user_id("submitter")
    admin = {"Authorization": f"Bearer {demo.token_of('admin')}"}
    rights = f"{env['DESK_URL']}/api/v1/users/{demo.user_id('submitter')}/rights"
    requests.post(rights, json={"rights": ["release"]}, headers=admin, timeout=30)
    try:
        released = requests.post(
            f"{env['DESK_URL']}/api/v1/cohorts/{waiting}/waves/1/release", timeout=30,
            headers={"Authorization": f"Bearer {token}"},
        )  # fmt: skip
        assert (released.status_code, released.json()["code"]) == (409, "SAME_PERSON")
    finally:
        requests.post(rights, json={"rights": ["release"], "revoke": True}, headers=admin, timeout=30)


def test_a_look_alike_name_is_another_person_without_rights(demo: Run, waiting: str) -> None:
    """A Cyrillic е in 'releaser': Airflow has no such user; if an administrator makes one, it has no right."""
    env, look_alike = demo.settings, "releas\u0435r"
    token = fetch_token(env["AIRFLOW_API_URL"], "pipeline", env["AIRFLOW_USER_PIPELINE_PASSWORD"])
    made = requests.post(
        f"{env['AIRFLOW_API_URL']}/auth/fab/v1/users", headers={"Authorization": f"Bearer {token}"}, timeout=30,
        json={"username": look_alike, "first_name": "a", "last_name": "b", "email": "a@issuance.invalid",
              "roles": [{"name": "Viewer"}], "password": "a-password-of-theirs"},
    )  # fmt: skip
    assert made.status_code in (200, 201), made.text
    login = f"{env['DESK_URL']}/api/v1/login"
    other = requests.post(login, json={"user": look_alike, "password": "a-password-of-theirs"}, timeout=30).json()
    assert other["user_id"] != demo.user_id("releaser")
    headers = {"Authorization": f"Bearer {other['token']}"}
    release = f"{env['DESK_URL']}/api/v1/cohorts/{waiting}/waves/1/release"
    assert requests.post(release, headers=headers, timeout=30).json()["code"] == "NOT_ALLOWED"
    # and once it is disabled, it is nobody within a minute
    disable(env, look_alike)
    began = time.monotonic()
    wait_for(lambda: requests.get(f"{env['DESK_URL']}/api/v1/me", headers=headers, timeout=30).status_code == 401, 90)
    assert time.monotonic() - began < 75  # a minute, and the machine's slowness


def disable(env: dict[str, str], user: str) -> None:
    """As Airflow's administrator does on its page of users."""
    with psycopg.connect(env["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"].replace("+psycopg2", "")) as connection:
        connection.execute("UPDATE ab_user SET active = false WHERE username = %s", (user,))


def test_an_edited_login_is_still_the_tokens_user(demo: Run) -> None:
    file = demo.home_of("viewer") / ".config" / "issuance" / "login.json"
    whole = file.read_text(encoding="utf-8")
    kept = json.loads(whole)
    assert "viewer" not in whole.replace(str(kept["token"]), ""), "no name stands in it"
    header, claims, signature = kept["token"].split(".")
    body = json.loads(base64.urlsafe_b64decode(claims + "=" * (-len(claims) % 4)))
    forged = base64.urlsafe_b64encode(json.dumps(body | {"sub": "3"}).encode()).decode().rstrip("=")
    try:
        file.write_text(json.dumps(kept | {"user": "releaser", "name": "releaser", "user_id": "u3"}), encoding="utf-8")
        done = demo.as_user("viewer", "cohort", "release", f"demo-{SEED}", "1")
        assert (done.returncode, done.stderr.split(":")[0]) == (1, "NOT_ALLOWED")
        expired = jwt.encode(body | {"exp": 1}, demo.settings["AIRFLOW__API_AUTH__JWT_SECRET"], algorithm="HS512")
        for token in (f"{header}.{forged}.{signature}", f"{header}.{forged}.", expired, "x"):
            file.write_text(json.dumps(kept | {"token": token}), encoding="utf-8")
            done = demo.as_user("viewer", "cohort", "list")
            assert (done.returncode, done.stderr.split(":")[0]) == (1, "NOT_LOGGED_IN")
    finally:
        file.write_text(whole, encoding="utf-8")


def test_the_approval_is_the_desks_alone_and_an_answer_without_a_row_releases_nothing(demo: Run, waiting: str) -> None:
    env, airflow = demo.settings, pipeline(demo)
    assert airflow.pending_approvals("card_dispatch", f"{waiting}.1") == [(f"{waiting}.1", "wait_for_release")]
    for user in ("releaser", "pipeline"):
        session = Airflow.log_in(env["AIRFLOW_API_URL"], user, env[f"AIRFLOW_USER_{user.upper()}_PASSWORD"])
        with pytest.raises(Refused, match="NOT_ALLOWED"):
            session.answer("card_dispatch", f"{waiting}.1", "wait_for_release", "Approve")
    desk = Airflow.log_in(env["AIRFLOW_API_URL"], "desk", env["AIRFLOW_USER_DESK_PASSWORD"])
    desk.answer("card_dispatch", f"{waiting}.1", "wait_for_release", "Approve")
    wait_for(lambda: bool(airflow.pending_approvals("card_dispatch", f"{waiting}.1")), 120)  # asked again
    assert {job["state"] for job in demo.read("viewer", "job", "list", "--cohort", waiting)} == {"planned"}


def test_an_approval_set_to_success_releases_nothing(demo: Run, waiting: str) -> None:
    airflow, run = pipeline(demo), f"{waiting}.1"
    set_to_success(demo.settings, f"card_dispatch/dagRuns/{run}/taskInstances/wait_for_release")
    wait_for(lambda: airflow.run_state("card_dispatch", run) == "failed", 120)
    assert "seal_jobs" in airflow.failed_tasks("card_dispatch", run)
    assert {job["state"] for job in demo.read("viewer", "job", "list", "--cohort", waiting)} == {"planned"}


def test_a_released_wave_that_is_run_again_sends_nothing_twice(demo: Run) -> None:
    airflow, run, reader = pipeline(demo), f"demo-{SEED}.1", demo.settings["READER_DATABASE_URL"]
    sent = "SELECT count(*), count(DISTINCT ce_id) FROM outbox WHERE topic LIKE 'issuance.card-jobs.%'"
    with psycopg.connect(reader) as connection:
        before = connection.execute(sent).fetchone()
    airflow.clear_all("card_dispatch", run)
    wait_for(lambda: airflow.run_state("card_dispatch", run) in ("success", "failed"), 180)
    assert airflow.run_state("card_dispatch", run) == "success"
    with psycopg.connect(reader) as connection:
        assert connection.execute(sent).fetchone() == before


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
    for name, url in (("ledger", env["READER_DATABASE_URL"]), ("airflow", airflow)):
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


@pytest.mark.slow  # in small: tests/stack/test_wire.py kills consumers of a few stages
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
