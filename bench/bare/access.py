"""What a script is told: plain values, filled in by whoever compares."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Access:
    """Where the components are, who we are to them, and a folder for keys that nobody needs afterwards."""

    database_url: str = field(repr=False)
    """Of any database of a server on which this user may make others."""
    s3_endpoint_url: str
    s3_bucket: str
    s3_access_key: str
    keys: Path
    s3_secret_key: str = field(repr=False)
    kafka: Mapping[str, Any] = field(repr=False)
    """kafka-python's options of any client: servers, protocol, user, password."""
    run: str
    """Stands in the names of all objects that are written: a cohort's id."""
