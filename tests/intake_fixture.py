"""Small packages of people made on the spot, submitted over the real stack and taken in step by step."""

from __future__ import annotations

import csv
import hashlib
import io
from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import boto3
import numpy as np
from ledger_fixture import OPENS, fresh_database, new_ledger
from PIL import Image, ImageDraw
from wire_fixture import Wire, wait_for

from issuance.intake.accept import accept_part, finish_submission
from issuance.intake.columns import NAMES
from issuance.intake.decide_rows import decide_rows
from issuance.intake.identifiers import check_characters
from issuance.intake.session import Intake, list_parts, open_intake
from issuance.intake.submit import Package, submit_package
from issuance.intake.validate_part import validate_part
from issuance.ledger.connection import connect, set_business_day
from issuance.settings import Settings

Row = dict[str, str]
SUBMITTER = "submitter"


def number(first17: str) -> str:
    """A citizen number with its check digit."""
    return first17 + chr(check_characters(np.array([[int(digit) for digit in first17]]))[0])


def person(sequence: int, **values: str) -> Row:
    """A valid row of one person; another sequence (0-999) is another person."""
    sex = "male" if sequence % 2 else "female"
    row = {
        "application_id": f"A-{sequence}", "applied_at": "2025-10-01", "category": "retiree",
        "id_type": "resident_id", "id_number": number(f"11010519491231{sequence:03d}"), "name": "王小明", "sex": sex,
        "birth_date": "1949-12-31", "phone": "15400000000", "region_code": "110105", "bank_code": "ICBC",
        "collection_method": "outlet", "outlet_code": "ICBC-0101", "kind": "renewal",
    }  # fmt: skip
    return row | values


class Intakes:
    """A ledger of its own with its submissions consumer, and packages submitted to it."""

    def __init__(self, stack: Settings, name: str, directory: Path) -> None:
        self.url = fresh_database(stack.database_url, f"ledger_{name}")
        new_ledger(self.url)
        with connect(self.url) as connection:
            set_business_day(connection, OPENS)
        self.settings = replace(stack, database_url=self.url, part_rows=250)
        self.directory = directory
        self.wire = Wire(stack, self.url)
        self.wire.start("submissions")

    def file(self, name: str, rows: Iterable[Mapping[str, str]]) -> Path:
        """A CSV file of rows, with the columns of a correction where the first row has them."""
        given = list(rows)
        path = self.directory / name
        with path.open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, list(dict.fromkeys([*NAMES, *given[0]])), restval="")
            writer.writeheader()
            writer.writerows(given)
        return path

    def submit(
        self,
        cohort: str,
        file: Path,
        rows: int,
        amends: bool = False,
        photos: Path | None = None,
        user: str = SUBMITTER,
    ) -> dict[str, Any]:
        """Submit one file and wait until it is registered."""
        package = Package(cohort, "110000", "retiree", date(2025, 10, 9), rows, amends)
        result = submit_package(self.settings, package, [file], user, photos)
        wait_for(lambda: bool(self.rows("SELECT FROM submission WHERE sha256 = %s", result["sha256"])))
        return result

    def validate(self, cohort: str, submission: int = 0) -> Intake:
        """Validate every part of a submission."""
        intake = open_intake(self.settings, cohort, submission)
        for part in list_parts(intake):
            validate_part(intake, part)
        return intake

    def finish(self, intake: Intake) -> str:
        """Decide and accept a validated submission; returns what was decided."""
        decided = decide_rows(intake)
        if decided == "VALIDATED":
            for part in list_parts(intake):
                accept_part(intake, part)
            finish_submission(intake)
        return decided

    def take_in(self, cohort: str, rows: list[Row], name: str = "rows.csv", amends: bool = False) -> Intake:
        """Submit rows and run every step of intake."""
        result = self.submit(cohort, self.file(f"{cohort}-{name}", rows), len(rows), amends)
        intake = self.validate(cohort, result["submission"])
        self.finish(intake)
        return intake

    def rows(self, query: str, *values: Any) -> list[Any]:
        """Rows of the ledger."""
        with connect(self.url) as connection:
            return connection.execute(query, values).fetchall()

    def outcomes(self, cohort: str, submission: int = 0) -> dict[int, tuple[str, list[str] | None]]:
        """Outcome and reasons of every line."""
        found = self.rows(
            "SELECT line, outcome, reasons FROM row_outcome JOIN cohort USING (cohort_no)"
            " WHERE (cohort_id, submission) = (%s, %s)",
            cohort,
            submission,
        )
        return {line: (outcome, reasons) for line, outcome, reasons in found}

    def close(self) -> None:
        """End the consumer."""
        self.wire.close()


def objects(settings: Settings) -> set[str]:
    """Every key of the bucket."""
    client = boto3.client(
        "s3",
        endpoint_url=settings.s3_endpoint_url,
        aws_access_key_id=settings.s3_access_key,
        aws_secret_access_key=settings.s3_secret_key,
        region_name="us-east-1",
    )
    pages = client.get_paginator("list_objects_v2").paginate(Bucket=settings.s3_bucket)
    return {entry["Key"] for page in pages for entry in page.get("Contents", [])}


def picture(size: tuple[int, int] = (358, 441), background: int = 255, kind: str = "JPEG") -> bytes:
    """A dark head before a background of one grey value."""
    image = Image.new("RGB", size, (background,) * 3)
    ImageDraw.Draw(image).ellipse((80, 60, 280, 340), fill=(60, 40, 30))
    out = io.BytesIO()
    image.save(out, kind)
    return out.getvalue()


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
