"""Once and only once: an act under an Idempotency-Key gets the answer that it got first."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from fastapi import Request

from issuance.desk.problems import jsonable
from issuance.errors import Refused
from issuance.ledger.connection import Connection
from issuance.settings import Settings
from issuance.users.login import User
from issuance.vault.keys import KeyService


@dataclass(frozen=True)
class Key:
    """An Idempotency-Key of a user, and the keyed hash of its request: a body may hold an ID number."""

    user_id: str
    key: str
    request_hash: bytes

    @classmethod
    def of(cls, request: Request, settings: Settings, user: User, values: dict[str, Any]) -> Key | None:
        """The key of a request; None without one.

        Raises:
            Refused: it is empty or too long.
        """
        key = request.headers.get("Idempotency-Key")
        if key is None:
            return None
        if not 0 < len(key) <= 200:
            raise Refused(
                "REQUEST_INVALID", "Idempotency-Key 须为 1 至 200 个字符。 / Idempotency-Key: 1 to 200 of them."
            )
        content = json.dumps([request.method, request.url.path, values], sort_keys=True, default=_plain)
        return cls(user.user_id, key, KeyService(settings.keys_dir).person_hash("request", content))

    def known(self, connection: Connection) -> Any:
        """The first answer under this key, None if there is none. Locks the key: whoever comes second waits.

        Raises:
            Refused: KEY_REUSED, the key came with another request.
        """
        connection.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", (f"{self.user_id}/{self.key}",))
        row = connection.execute(
            "SELECT request_hash, answer FROM desk_answer WHERE (user_id, key) = (%s, %s)", (self.user_id, self.key)
        ).fetchone()
        if row and bytes(row[0]) != self.request_hash:
            raise Refused(
                "KEY_REUSED",
                "同一 Idempotency-Key 已用于另一请求。 / this Idempotency-Key was used for another request.",
            )
        return row[1] if row else None

    def keep(self, connection: Connection, answer: Any) -> None:
        """Keep the first answer; the user's own of more than a month ago go."""
        connection.execute(
            "DELETE FROM desk_answer WHERE user_id = %s AND at < now() - interval '30 days'", (self.user_id,)
        )
        connection.execute(
            "INSERT INTO desk_answer (user_id, key, request_hash, answer) VALUES (%s, %s, %s, %s)"
            " ON CONFLICT DO NOTHING",
            (self.user_id, self.key, self.request_hash, json.dumps(jsonable(answer)) if answer is not None else None),
        )


def _plain(value: Any) -> Any:
    return value.model_dump(mode="json") if hasattr(value, "model_dump") else str(value)
