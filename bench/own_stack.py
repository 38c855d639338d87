"""A stack of a bench's own, without workers and Airflow, beside the one that is up. To be imported before `issuance`,
which reads where its stack stands when it is imported."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from issuance.settings import Settings

FOLDER = Path(__file__).parents[1] / ".stack-bench"
PORT_OFFSET = 2500
os.environ["ISSUANCE_STACK_DIR"] = str(FOLDER)
os.environ["AIRFLOW_API_URL"] = "http://127.0.0.1:9"  # brought by nobody: nothing here needs Airflow

from issuance.stack.place import Ports  # noqa: E402

for _port in fields(Ports):
    os.environ[f"ISSUANCE_PORT_{_port.name.upper()}"] = str(int(str(_port.default)) + PORT_OFFSET)


@contextmanager
def own_stack() -> Iterator[Settings]:
    """A new one, with empty topics; it is taken down and its data go."""
    from bench.place import owner_settings
    from issuance.stack import run

    run.down()  # what a run that was killed has left
    shutil.rmtree(FOLDER, ignore_errors=True)
    run.up(print, workers=False)
    try:
        yield owner_settings()
    finally:
        run.down(print)
        shutil.rmtree(FOLDER)
