"""Objects on S3."""

from __future__ import annotations

import hashlib

import boto3
from botocore.config import Config

from bench.bare.access import Access


class Store:
    """One bucket."""

    def __init__(self, access: Access) -> None:
        self._bucket = access.s3_bucket
        self._client = boto3.client(
            "s3",
            endpoint_url=access.s3_endpoint_url,
            aws_access_key_id=access.s3_access_key,
            aws_secret_access_key=access.s3_secret_key,
            region_name="us-east-1",
            config=Config(
                retries={"max_attempts": 5, "mode": "standard"},
                s3={"addressing_style": "path"},
                signature_version="s3v4",
            ),
        )

    def get(self, key: str) -> bytes:
        """An object's bytes."""
        return bytes(self._client.get_object(Bucket=self._bucket, Key=key)["Body"].read())

    def put(self, key: str, content: bytes) -> str:
        """Write an object; returns the SHA-256 of its bytes."""
        self._client.put_object(Bucket=self._bucket, Key=key, Body=content, ContentType="application/octet-stream")
        return hashlib.sha256(content).hexdigest()
