"""Sealed objects on S3: the inbox, the vault's blocks, job and contact files. Keys of objects hold references only."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from issuance.errors import Broken, Unavailable
from issuance.settings import Settings

DELETED_AT_ONCE = 1000
"""Objects that one request may name (S3 API, DeleteObjects)."""


class ObjectStore:
    """One bucket of an S3 service."""

    def __init__(self, endpoint: str, access_key: str, secret_key: str, bucket: str) -> None:
        self._bucket = bucket
        self._client = boto3.client(
            "s3",
            endpoint_url=endpoint,
            aws_access_key_id=access_key,
            aws_secret_access_key=secret_key,
            region_name="us-east-1",
            config=Config(
                retries={"max_attempts": 5, "mode": "standard"},
                s3={"addressing_style": "path"},
                signature_version="s3v4",  # of links too: newer regions refuse the older one
            ),
        )

    @classmethod
    def of(cls, settings: Settings) -> ObjectStore:
        """The pipeline's own store."""
        return cls(settings.s3_endpoint_url, settings.s3_access_key, settings.s3_secret_key, settings.s3_bucket)

    def get(self, key: str, most: int | None = None) -> bytes:
        """An object's bytes; `most`: how many it may have (wire.bounds.most_bytes), of one that others put.

        Raises:
            Broken: there is no such object, or it is larger.
            Unavailable: S3 does not answer.
        """
        try:
            found = self._client.get_object(Bucket=self._bucket, Key=key)
            if most is not None and found["ContentLength"] > most:
                raise Broken("OBJECT_TOO_LARGE", f"{key} has more than {most} bytes", object=key)
            return bytes(found["Body"].read())
        except ClientError as error:
            raise self._explain(error, key) from error
        except BotoCoreError as error:
            raise Unavailable("S3_UNAVAILABLE", f"{key}: {type(error).__name__}") from error

    def put(self, key: str, content: bytes, content_type: str = "application/octet-stream") -> str:
        """Write an object; returns the SHA-256 of its bytes."""
        self._put(key, content, ContentType=content_type)
        return hashlib.sha256(content).hexdigest()

    def put_if_absent(self, key: str, content: bytes) -> bytes:
        """Write an object unless it exists; returns the bytes that are stored."""
        try:
            self._put(key, content, IfNoneMatch="*")
        except _Stands:
            return self.get(key)
        return content

    def link(self, key: str, seconds: int) -> str:
        """A presigned URL that lets anybody read the object for a limited time."""
        values = {"Bucket": self._bucket, "Key": key}
        return str(self._client.generate_presigned_url("get_object", Params=values, ExpiresIn=seconds))

    def delete(self, key: str) -> None:
        """Remove an object; idempotent."""
        try:
            self._client.delete_object(Bucket=self._bucket, Key=key)
        except (ClientError, BotoCoreError) as error:
            raise Unavailable("S3_UNAVAILABLE", f"{key}: {type(error).__name__}") from error

    def list(self, prefix: str) -> Iterator[str]:
        """The keys that start with a prefix, in their order, read page by page."""
        try:
            for page in self._client.get_paginator("list_objects_v2").paginate(Bucket=self._bucket, Prefix=prefix):
                yield from (str(entry["Key"]) for entry in page.get("Contents", ()))
        except (ClientError, BotoCoreError) as error:
            raise Unavailable("S3_UNAVAILABLE", f"{prefix}: {type(error).__name__}") from error

    def delete_all(self, keys: Iterable[str]) -> int:
        """Remove objects, a thousand in a request; returns how many were named."""
        remaining, removed = iter(keys), 0
        while batch := tuple(islice(remaining, DELETED_AT_ONCE)):
            named: Any = {"Objects": [{"Key": key} for key in batch], "Quiet": True}
            try:
                answer = self._client.delete_objects(Bucket=self._bucket, Delete=named)
            except (ClientError, BotoCoreError) as error:
                raise Unavailable("S3_UNAVAILABLE", f"{len(batch)} objects: {type(error).__name__}") from error
            if errors := answer.get("Errors"):
                raise Unavailable("S3_UNAVAILABLE", f"{errors[0].get('Key')}: {errors[0].get('Code')}")
            removed += len(batch)
        return removed

    def _put(self, key: str, content: bytes, **options: Any) -> None:
        try:
            self._client.put_object(Bucket=self._bucket, Key=key, Body=content, **options)
        except ClientError as error:
            if error.response.get("ResponseMetadata", {}).get("HTTPStatusCode") == 412:
                raise _Stands(key) from error
            raise self._explain(error, key) from error
        except BotoCoreError as error:
            raise Unavailable("S3_UNAVAILABLE", f"{key}: {type(error).__name__}") from error

    def _explain(self, error: ClientError, key: str) -> Exception:
        code = error.response.get("Error", {}).get("Code", "")
        if code in ("NoSuchKey", "404"):
            return Broken("OBJECT_MISSING", f"no such object: {key}", object=key)
        if code in ("AccessDenied", "403"):
            return Broken("OBJECT_FORBIDDEN", f"not allowed to touch {key}", object=key)
        return Unavailable("S3_UNAVAILABLE", f"{key}: {code}")


class _Stands(Exception):
    """The object exists already."""
