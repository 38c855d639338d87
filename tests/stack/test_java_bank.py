"""The sample client in Java, which knows the contract alone, against the kit: a bank together with its factory."""

from __future__ import annotations

import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pytest
from conformance_fixture import Running, failed

from issuance.commands.check import lay_slip
from issuance.conformance.box import Box
from issuance.conformance.case import Result
from issuance.conformance.run import Options, check_partner
from issuance.settings import ROOT, Settings
from issuance.stack.java import java

HERE = ROOT / "examples" / "java-bank"
BANK, FACTORY = "PAB", "F-PAB"
PATIENCE = 30.0
JAVA = "java" if shutil.which("javac") else str(java())
"""As examples/java-bank/build chooses: the machine's JDK, else the JRE of the stack."""


@pytest.fixture(scope="module")
def jar() -> Path:
    """The client as a bank builds it, with its own unit tests; where it cannot be built, this fails."""
    done = subprocess.run([HERE / "build"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return HERE / "target" / "java-bank.jar"


@pytest.fixture(scope="module")
def running(stack: Settings) -> Iterator[Running]:
    found = Running(stack, "java_bank")
    yield found
    found.close()


class Client:
    """The client as a process that can be killed and started again; its state stays in its directory."""

    def __init__(self, jar: Path, settings: Settings, directory: Path, *options: str) -> None:
        self.box = directory / "box"
        self.log = directory / "client.log"
        self._words = [
            JAVA, "-Xmx256m", "-jar", str(jar), "--from-end", "--state-often", "--state", str(directory / "state"),
            "--box", str(self.box), "--factory", str(settings.partner_credentials_dir / FACTORY),
            "--bank", str(settings.partner_credentials_dir / BANK), *options,
        ]  # fmt: skip
        self._starts = 0
        self.start()

    def start(self) -> None:
        """Start it and wait until both partners are connected."""
        self._starts += 1
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(self._words, stdout=log, stderr=log, start_new_session=True)
        end = time.monotonic() + 60
        while self.said().count(": ready") < 2 * self._starts:
            assert self._process.poll() is None, self.said()
            assert time.monotonic() < end, self.said()
            time.sleep(0.1)

    def said(self) -> str:
        return self.log.read_text(encoding="utf-8")

    def kill(self) -> None:
        """kill -9, by id."""
        self._process.kill()
        self._process.wait()


@contextmanager
def client(jar: Path, settings: Settings, directory: Path, *options: str) -> Iterator[Client]:
    found = Client(jar, settings, directory, *options)
    try:
        yield found
    finally:
        found.kill()


def check(running: Running, client: Client, partner: str, *only: str, other: str) -> dict[str, Result]:
    """What comes of each case; after each of the first three the client is killed and started again."""
    kills = iter(range(0 if only else 3))

    def tell(result: Result) -> None:
        print(f"{partner} {result.case.name}: {result.outcome} after {result.seconds:.1f} s")
        if next(kills, None) is not None:
            client.kill()
            client.start()

    options, box = Options(PATIENCE, also=(other,), only=only), Box(partial(lay_slip, client.box / partner))
    _, results = check_partner(running.settings, partner, "tester", options, box, tell)
    return {result.case.name: result for result in results}


def not_passed(results: dict[str, Result]) -> dict[str, str]:
    return {name: f"{one.outcome} {one.findings} {one.why}" for name, one in results.items() if one.outcome != "passed"}


@pytest.mark.slow  # in small: the next test
def test_the_client_passes_every_case_as_factory_and_as_bank_though_it_is_killed(
    running: Running, jar: Path, tmp_path: Path
) -> None:
    with client(jar, running.settings, tmp_path) as sample:
        assert not_passed(check(running, sample, FACTORY, other=BANK)) == {}, sample.said()
        assert not_passed(check(running, sample, BANK, other=FACTORY)) == {}, sample.said()


def test_a_client_that_signs_for_a_wrong_count_gets_exactly_that_finding(
    running: Running, jar: Path, tmp_path: Path
) -> None:
    with client(jar, running.settings, tmp_path, "--wrong-count") as sample:
        results = check(running, sample, BANK, "received", "report-ids", "sequence", "taken", other=FACTORY)
    assert failed(results) == {"received": {"COUNT_DIFFERS"}}
