"""A plastic's way, played by the kit for another partner under check: made, keyed, handed over, on a slip."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from issuance.conformance.roles import item
from issuance.conformance.workbench import Bench

Plastic = tuple[str, int]


def order(bench: Bench, *orders: str) -> None:
    """Send orders, and accept them as the factory unless the client plays that too."""
    for name in orders:
        bench.orders.send(name)
        if bench.check.factory not in bench.also:
            _accept(bench, name)


def _accept(bench: Bench, name: str) -> None:
    job = bench.orders.job(name)
    (file,) = bench.rows_of("SELECT sha256 FROM sealed_job WHERE job_id = %s", job.job_id)
    said = {"card_count": job.card_count, "hash_total": job.hash_total, "sha256": file[0]}
    factory = bench.role(bench.check.factory)
    factory.report("production", [item("JOB_RECEIVED")], kind="JOB", job_id=job.job_id, **said)
    factory.report("production", [item("JOB_ACCEPTED")], kind="JOB", job_id=job.job_id)


def make(bench: Bench, plastics: Sequence[Plastic]) -> bool:
    """Make plastics and load both keys, or wait for those who do; returns whether the ledger shows it."""
    if bench.check.factory not in bench.also:
        made = [item(milestone, plastic) for plastic in plastics for milestone in ("MADE", "BANK_KEYED")]
        bench.role(bench.check.factory).report("production", made)
    if bench.hrss not in bench.also and bench.hrss != bench.partner.id:
        bench.role(bench.hrss).report("activation", [item("SS_KEYED", plastic) for plastic in plastics])
    return bench.until(lambda: _all(bench, "made", plastics))


def hand_over(bench: Bench, plastics: Sequence[Plastic], to_place: str, occasion: str) -> None:
    """Hand plastics over as the factory, under a signed count; the slip of the bundle is `slip`'s."""
    if bench.check.factory not in bench.also:
        head: dict[str, Any] = {
            "handover_id": f"{bench.check.cohort_id}-{occasion}", "handover_count": len(plastics), "to_place": to_place,
        }  # fmt: skip
        bench.role(bench.check.factory).report("production", [item("HANDED_OVER", one) for one in plastics], **head)
    wanted = set(plastics)
    bench.until(lambda: {one for *_, listed in handovers(bench, plastics) for one in listed} >= wanted)


def handovers(bench: Bench, plastics: Sequence[Plastic]) -> list[Any]:
    """(hand-over id, place, plastics) of every bundle that the ledger says was handed over with some of these in it."""
    rows = bench.rows_of(
        "SELECT substr(consignment_id, 3), mark_content(handed_over) ->> 'to_place', array_agg(card_ref::text)"
        " FROM plastic_in_consignment WHERE handed_over IS NOT NULL AND NOT is_mail_item(consignment_id)"
        " AND consignment_id IN"
        " (SELECT consignment_id FROM plastic_in_consignment WHERE card_ref = ANY (%s::uuid[])) GROUP BY 1, 2",
        [ref for ref, _ in plastics],
    )
    return [(handover_id, place, sorted((ref, 1) for ref in refs)) for handover_id, place, refs in rows]


def slip(bench: Bench, kind: str, name: str, plastics: Sequence[Plastic], **fields: Any) -> None:
    """Put a slip with plastics into the partner's box."""
    bench.box.lay(
        f"{bench.check.cohort_id}-{name}", kind, plastics=[facts_of(bench, one) for one in plastics], **fields
    )


def facts_of(bench: Bench, plastic: Plastic) -> dict[str, Any]:
    """What everybody who holds a plastic can see of it."""
    number = [bench.check.card_ref(n) for n in range(len(bench.wishes))].index(plastic[0])
    row = bench.rows[number]
    place = row["outlet_code"] or row["region_code"]
    return {
        "card_ref": plastic[0], "attempt": plastic[1], "bank": bench.check.bank, "factory": bench.check.factory,
        "collection_method": row["collection_method"], "place": place,
    }  # fmt: skip


def await_request(bench: Bench, request: str, plastic: Plastic) -> bool:
    """Wait until a request about a plastic is decided, whoever it is asked of."""
    query = "SELECT FROM request WHERE (card_ref, attempt, kind) = (%s, %s, %s)"
    return bench.until(lambda: bench.rows_of(query, *plastic, request))


def _all(bench: Bench, column: str, plastics: Sequence[Plastic]) -> bool:
    query = f"SELECT count(*) FROM plastic WHERE card_ref = ANY (%s::uuid[]) AND attempt = 1 AND {column} IS NOT NULL"
    return bool(bench.rows_of(query, [ref for ref, _ in plastics]) == [(len(plastics),)])
