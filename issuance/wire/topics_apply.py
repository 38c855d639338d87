"""Topics, users, ACLs and schemas brought in line with what is declared.

Applying compares first and then sends the differences, one request of each kind; it is idempotent.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Literal

from kafka.admin import (
    ACL,
    ACLFilter,
    ACLOperation,
    ACLPermissionType,
    ACLResourcePatternType,
    ConfigResource,
    ConfigResourceType,
    KafkaAdminClient,
    ResourcePattern,
    ResourcePatternFilter,
    ResourceType,
    ScramMechanism,
    UserScramCredentialDeletion,
    UserScramCredentialUpsertion,
)
from kafka.errors import KafkaError

from issuance.city.partners import load_registry
from issuance.errors import Unavailable
from issuance.settings import Settings
from issuance.wire.subjects import register_schemas
from issuance.wire.topics import SERVICE_USER, Grant, Topic, declared_grants, declared_passwords, declared_topics


def apply_topics(settings: Settings, admin_user: str, admin_password: str) -> list[str]:
    """Bring Kafka and the schema registry in line with what is declared; returns the changes, in words.

    Raises:
        Unavailable: Kafka or the registry does not answer, or refuses us.
        Misconfigured: a schema breaks the compatibility that its topic promises.
    """
    return apply_kafka(settings, admin_user, admin_password) + register_schemas(settings)


def apply_kafka(settings: Settings, admin_user: str, admin_password: str) -> list[str]:
    """The part of `apply_topics` that is Kafka's: topics, their configs, users, ACLs."""
    registry = load_registry(settings.partners_file)
    with kafka_admin(settings, admin_user, admin_password) as admin:
        return [
            *_apply_topics(admin, declared_topics(registry, settings.kafka_replication)),
            *_apply_users(admin, declared_passwords(registry, settings), settings.kafka_sasl_mechanism),
            *_apply_grants(admin, declared_grants(registry), {*registry.partners, SERVICE_USER}),
        ]


def expel_user(settings: Settings, admin_user: str, admin_password: str, user: str) -> list[str]:
    """Revoke a user's ACLs and password; topics stay, their messages are evidence and expire by themselves."""
    kind = ScramMechanism[settings.kafka_sasl_mechanism.replace("-", "_")]
    with kafka_admin(settings, admin_user, admin_password) as admin:
        changes = _apply_grants(admin, set(), {user})
        gone = admin.alter_user_scram_credentials([UserScramCredentialDeletion(user, kind)])
        return [*changes, *(f"user {name} gone" for name, error in gone.items() if not error)]


@contextmanager
def kafka_admin(settings: Settings, admin_user: str, admin_password: str) -> Iterator[Any]:
    """Kafka's admin client; its errors become Unavailable."""
    try:
        admin = KafkaAdminClient(
            bootstrap_servers=settings.kafka_bootstrap_servers.split(","),
            client_id="issuance-topics",
            security_protocol=settings.kafka_security_protocol,
            sasl_mechanism=settings.kafka_sasl_mechanism,
            sasl_plain_username=admin_user,
            sasl_plain_password=admin_password,
        )
        try:
            yield admin
        finally:
            admin.close()
    except KafkaError as error:
        message = f"Kafka at {settings.kafka_bootstrap_servers} refuses the topics to {admin_user}: {error}"
        raise Unavailable("KAFKA_REFUSES", f"{message}; check address, user and password") from error


def _apply_topics(admin: Any, topics: Sequence[Topic]) -> list[str]:
    present = set(admin.list_topics())
    missing = [topic for topic in topics if topic.name not in present]
    if missing:
        admin.create_topics(
            {
                topic.name: {
                    "num_partitions": topic.partitions,
                    "replication_factor": topic.replication,
                    "configs": topic.config,
                }
                for topic in missing
            }
        )
    made = [f"topic {topic.name} made" for topic in missing]
    return made + _apply_configs(admin, [topic for topic in topics if topic.name in present])


def _apply_configs(admin: Any, topics: Sequence[Topic]) -> list[str]:
    """Configs of topics that stand already. Partitions are not touched: more of them would move keys."""
    if not topics:
        return []
    asked = [ConfigResource(ConfigResourceType.TOPIC, topic.name) for topic in topics]
    found = admin.describe_configs(asked, config_filter="all")["topic"]
    altered: list[str] = []
    resources: list[Any] = []
    for topic in topics:
        now = {name: str(entry["value"]) for name, entry in found[topic.name].items()}
        differing = {name: value for name, value in topic.config.items() if now.get(name) != value}
        if differing:
            resources.append(ConfigResource(ConfigResourceType.TOPIC, topic.name, differing))
            altered.append(f"topic {topic.name} set to {differing}")
    if resources:
        admin.alter_configs(resources)
    return altered


def _apply_users(admin: Any, passwords: dict[str, str], mechanism: str) -> list[str]:
    """Kafka does not show a password's hash, so all are set each time; only users that were missing are counted."""
    present = {user for user, entry in admin.describe_user_scram_credentials().items() if not entry["error"]}
    kind = ScramMechanism[mechanism.replace("-", "_")]
    upserts = [UserScramCredentialUpsertion(user, kind, password) for user, password in passwords.items()]
    refused = {user: error for user, error in admin.alter_user_scram_credentials(upserts).items() if error}
    if refused:
        raise Unavailable("KAFKA_USERS_REFUSED", f"Kafka refuses users: {refused}")
    return [f"user {user} made" for user in sorted(set(passwords) - present)]


def _apply_grants(admin: Any, wanted: set[Grant], users: set[str]) -> list[str]:
    """Make missing ACLs and drop those of our users that are no longer declared; other users' are not ours to touch."""
    present = {grant for grant in _present_grants(admin) if grant.user in users}
    missing, obsolete = sorted(wanted - present), sorted(present - wanted)
    if missing:
        failed = admin.create_acls([_acl(grant) for grant in missing])["failed"]
        if failed:
            raise Unavailable("KAFKA_ACLS_REFUSED", f"Kafka refuses {len(failed)} ACLs, the first: {failed[0]}")
    if obsolete:
        admin.delete_acls([_acl(grant) for grant in obsolete])
    return [*(f"allowed {grant}" for grant in missing), *(f"no longer allowed {grant}" for grant in obsolete)]


def _present_grants(admin: Any) -> Iterable[Grant]:
    everything = ResourcePatternFilter(ResourceType.ANY, None, ACLResourcePatternType.ANY)
    acls, _ = admin.describe_acls(ACLFilter(None, None, ACLOperation.ANY, ACLPermissionType.ALLOW, everything))
    names: dict[Any, Literal["topic", "group"]] = {ResourceType.TOPIC: "topic", ResourceType.GROUP: "group"}
    for acl in acls:
        pattern = acl.resource_pattern
        kind = names.get(pattern.resource_type)
        if kind:
            prefixed = pattern.pattern_type == ACLResourcePatternType.PREFIXED
            user = acl.principal.removeprefix("User:")
            yield Grant(user, kind, pattern.resource_name, prefixed, acl.operation.name)


def _acl(grant: Grant) -> Any:
    kind = ResourceType.TOPIC if grant.resource == "topic" else ResourceType.GROUP
    pattern = ACLResourcePatternType.PREFIXED if grant.prefixed else ACLResourcePatternType.LITERAL
    resource = ResourcePattern(kind, grant.name, pattern)
    return ACL(f"User:{grant.user}", "*", ACLOperation[grant.operation], ACLPermissionType.ALLOW, resource)
