"""Employer packs: the plastics of one employer in a job go to it as one consignment, with a signed list and count.

The list is for the employer's clerk, who hands the cards out: references and masked text (domain.md, Law), no more.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

from issuance.words.references import hash_total


def pack_of(job_id: str, method: str, place: str) -> str | None:
    """The pack that a plastic travels in; only employers get packs."""
    return f"{job_id}/{place}" if method == "employer" else None


def encode_packs(job_id: str, plastics: Iterable[tuple[Mapping[str, Any], str]]) -> bytes:
    """The lists of a job's packs as JSON, by employer; empty if it has none. Plastics: (record, masked text)."""
    packs: defaultdict[str, list[dict[str, Any]]] = defaultdict(list)
    for record, masked in plastics:
        if record["pack"]:
            line = {"card_ref": record["card_ref"], "attempt": record["attempt"], "holder": masked}
            packs[record["place"]].append(line)
    lists = [
        {
            "pack": pack_of(job_id, "employer", employer),
            "employer_code": employer,
            "count": len(lines),
            "hash_total": hash_total([line["card_ref"] for line in lines]),
            "plastics": lines,
        }
        for employer, lines in sorted(packs.items())
    ]
    return json.dumps({"job_id": job_id, "packs": lists}, ensure_ascii=False).encode() if lists else b""
