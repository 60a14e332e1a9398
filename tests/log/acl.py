"""Forbidding on the shared broker, one resource at a time (see `kadence.testing.broker.AUTHORIZER`)."""

from __future__ import annotations

from confluent_kafka.admin import (  # type: ignore[attr-defined]  # re-exported without saying so
    AclBinding,
    AclBindingFilter,
    AclOperation,
    AclPermissionType,
    AdminClient,
    ResourcePatternType,
    ResourceType,
)

__all__ = ["AclOperation", "ResourceType", "delete_topic", "forbid"]


def forbid(bootstrap_servers: str, kind: ResourceType, name: str, *denied: AclOperation) -> None:
    """From now on nobody may do these to this resource, and may still do everything else."""
    client = AdminClient({"bootstrap.servers": bootstrap_servers})
    rules = [(AclOperation.ALL, AclPermissionType.ALLOW)]
    rules += [(operation, AclPermissionType.DENY) for operation in denied]
    bindings = [
        AclBinding(kind, name, ResourcePatternType.LITERAL, "User:ANONYMOUS", "*", operation, permission)
        for operation, permission in rules
    ]
    for future in client.create_acls(bindings).values():
        future.result(10)
    wanted = AclBindingFilter(
        kind, name, ResourcePatternType.LITERAL, "User:ANONYMOUS", "*", AclOperation.ANY, AclPermissionType.ANY
    )
    while len(client.describe_acls(wanted).result(10)) < len(bindings):
        client.poll(0.02)  # the controller has them, the broker is about to


def delete_topic(bootstrap_servers: str, topic: str) -> None:
    """Delete a topic; brokers may serve it a moment longer."""
    client = AdminClient({"bootstrap.servers": bootstrap_servers})
    for future in client.delete_topics([topic]).values():
        future.result(10)
