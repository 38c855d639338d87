"""Every bench in small, run as anyone would, so that none is found broken on the day its figures are wanted.

Not run here: `bench.airflow` as a whole, which needs Airflow; of it the watch of sizes, the wait for the outbox and the
lines it prints. A ratio of so few rows means nothing and is not judged.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from subprocess import PIPE

import psutil
import pytest

from bench import airflow, rest
from issuance.settings import Settings

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.usefixtures("stack")


def bench(name: str, *arguments: str) -> str:
    """What a bench prints; its failure is the test's, with what it said."""
    command = [sys.executable, "-m", f"bench.{name}", *arguments]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_intake() -> None:
    said = bench("intake", "--rows", "400", "--workers", "1")
    assert re.match(r"4\d\d rows, 1 processes, parts of 200,000; 400 accepted\n", said), said
    assert re.search(r"ratio to the bare script \d+\.\d\d; largest process [\d,]+ MiB", said), said
    assert re.search(r"validate +\d", said), said
    assert re.search(r"open, seal blocks, copy +\d", said), said


def test_dispatch() -> None:
    said = bench("dispatch", "--cards", "320", "--workers", "1")
    assert re.match(r"320 cards, 1 processes; 320 ordered in \d+ jobs\n", said), said
    assert re.search(r"ratio to the bare script \d+\.\d\d; largest process [\d,]+ MiB", said), said
    assert re.search(r"read, write, seal, send +\d", said), said


def test_tracking() -> None:
    first, *ratios = bench("tracking", "--plastics", "480").splitlines()[-3:]
    assert first == "1,440 items in 48 messages of 16 topics"
    assert len(ratios) == 2
    for number, line in enumerate(ratios, 1):
        assert re.match(rf"{number} of each: bare [\d,]+ items/s, tracking [\d,]+ items/s, ratio \d+\.\d\d;", line), (
            line
        )


def test_journal() -> None:
    first, *forms = bench("journal", "2400").splitlines()
    assert first == "2,400 facts, 200 plastics"
    assert len(forms) == 4
    assert all(re.search(r" [\d,]+ facts/s +\d+\.\d\d +\d+\.\d\d ms a history +\d+ MB$", form) for form in forms), forms
    assert re.match(r"per-item rows, no index .* 1\.00 ", forms[0])


def test_planner() -> None:
    said = bench("planner", "3000000")
    assert re.search(r"^within capacity +\d+\.\d\d s .* [1-9][\d,]* moved +0 late, ", said, re.M), said
    assert re.search(r"^three times what can be made +\d+\.\d\d s .* [1-9][\d,]* late, ", said, re.M), said


def test_planner_from_the_ledger() -> None:
    said = bench("planner", "10000", "--ledger")
    assert re.search(r"^forecast from the ledger +\d+\.\d\d s  10,000 cards, 20 cohorts$", said, re.M), said


def test_rest() -> None:
    said = bench("rest", "--settle", "0", "--seconds", "1")
    assert re.search(r"^kafka +\d+\.\d %$", said, re.M), said
    assert re.search(r"^all +\d+\.\d %$", said, re.M), said


def test_a_child_that_has_ended_counts() -> None:
    burn = "import time\nwhile time.process_time() < 0.5: pass"
    script = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {burn!r}]); print(flush=True); input()"
    with subprocess.Popen([sys.executable, "-c", script], stdin=PIPE, stdout=PIPE) as process:
        assert process.stdout
        process.stdout.readline()
        assert not psutil.Process(process.pid).children()
        assert rest.cpu_seconds(process.pid) > 0.4
        process.communicate(b"\n")


def test_the_parts_of_the_airflow_bench(stack: Settings, ledger_url: str, capsys: pytest.CaptureFixture[str]) -> None:
    sizes = airflow.Sizes()
    airflow.await_outbox(ledger_url)
    airflow.show({"intake": 2.0, "sent": 0.0}, 100, sizes.stop())
    said = capsys.readouterr().out
    assert re.search(r"^intake +2\.0 s +50 cards/s$", said, re.M), said
    assert re.search(r"^ +\d[\d,]* MiB  java", said, re.M), said
