"""A partner's access, given and taken while everything runs: Kafka user and ACLs, S3 identity, credentials, schemas.

A store or broker of the user's own is changed as far as its interface allows; what remains to be done is reported.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from issuance.city.partners import Registry, load_registry
from issuance.errors import Refused
from issuance.settings import Settings, environment, read_env_file
from issuance.stack import s3
from issuance.stack.credentials import write_credentials
from issuance.stack.place import Place, load_place
from issuance.stack.secrets import change_secrets, load_secrets, new_secret
from issuance.stack.supervise import ALIVE, Supervisor
from issuance.stack.waiting import await_condition
from issuance.wire.subjects import register_schemas
from issuance.wire.topics_apply import apply_kafka, expel_user

RELOAD_SECONDS = 30.0


@dataclass(frozen=True)
class Access:
    """The access of partners to a stack."""

    settings: Settings
    place: Place
    env: Mapping[str, str]

    @classmethod
    def of(cls, settings: Settings) -> Access:
        """The access of this stack.

        Raises:
            Refused: no Kafka administrator is configured.
        """
        env = environment()
        if not env.get("KAFKA_ADMIN_USER"):
            raise Refused(
                "KAFKA_ADMIN_MISSING",
                "请设置 KAFKA_ADMIN_USER 与 KAFKA_ADMIN_PASSWORD。 / set KAFKA_ADMIN_USER and KAFKA_ADMIN_PASSWORD.",
            )
        return cls(settings, load_place(env), env)

    def bring_in_line(self) -> list[str]:
        """Grant what the registry declares and revoke what it no longer declares; returns the changes, in words."""
        registry = load_registry(self.settings.partners_file)
        secrets = load_secrets(self._secrets, registry)
        write_credentials(self.place, registry, secrets, dict(self.env))
        changes = apply_kafka(self.settings, self.env["KAFKA_ADMIN_USER"], self.env["KAFKA_ADMIN_PASSWORD"])
        return [*changes, *register_schemas(self.settings), *self._reload_s3(registry, secrets)]

    def rotate_kafka(self, partner: str) -> None:
        """Set a new password; the old one is refused from now on, open connections continue until they end."""
        change_secrets(self._secrets, {f"kafka_{partner}": new_secret()})

    def rotate_s3(self, partner: str) -> None:
        """Add a new access key; the previous one stays valid until the next rotation."""
        secrets = load_secrets(self._secrets, load_registry(self.settings.partners_file))
        number = int(secrets.get(f"s3_number_{partner}", "1"))
        change_secrets(
            self._secrets,
            {
                f"s3_{partner}": new_secret(),
                f"s3_before_{partner}": secrets[f"s3_{partner}"],
                f"s3_number_{partner}": str(number + 1),
            },
        )

    def expel(self, partner: str) -> list[str]:
        """Revoke all access of a partner that is no longer in the registry, and remove its credentials folder."""
        env = self._credentials(partner)
        user = self.env["KAFKA_ADMIN_USER"]
        changes = expel_user(self.settings, user, self.env["KAFKA_ADMIN_PASSWORD"], partner)
        registry = load_registry(self.settings.partners_file)
        names = ("kafka_{}", "s3_{}", "s3_before_{}", "s3_number_{}")
        change_secrets(self._secrets, {name.format(partner): None for name in names})
        changes += self._reload_s3(registry, load_secrets(self._secrets, registry))
        self._await_s3(env, False)
        shutil.rmtree(self.settings.partner_credentials_dir / partner, ignore_errors=True)
        (self.settings.partner_keys_dir / f"{partner}.pem").unlink(missing_ok=True)
        return changes

    def await_admitted(self, partner: str, admitted: bool) -> None:
        """Wait until the store admits or rejects a partner, as just configured.

        Raises:
            Unavailable: it does not within half a minute.
        """
        self._await_s3(self._credentials(partner), admitted)

    def _await_s3(self, env: Mapping[str, str], admitted: bool) -> None:
        if not self._s3_is_ours() or not env:
            return
        key, secret = env["S3_ACCESS_KEY"], env["S3_SECRET_KEY"]

        def ready() -> bool:
            return s3.admits(self.settings.s3_endpoint_url, key, secret) is admitted

        await_condition("s3", ready, lambda: None, RELOAD_SECONDS)

    def _credentials(self, partner: str) -> dict[str, str]:
        return read_env_file(self.settings.partner_credentials_dir / partner / "partner.env")

    def _reload_s3(self, registry: Registry, secrets: dict[str, str]) -> list[str]:
        if not self._s3_is_ours():
            return ["S3 由您自备，请按登记改其身份 / S3 is your own: change its identities to match the registry"]
        s3.write_identities(self.place, registry, secrets)
        Supervisor(self.place).call("signalProcess", s3.NAME, "HUP")
        return []

    def _s3_is_ours(self) -> bool:
        programs = {one["name"]: one["statename"] for one in Supervisor(self.place).programs()}
        return programs.get(s3.NAME) in ALIVE

    @property
    def _secrets(self) -> Path:
        return self.place.root / "secrets.json"
