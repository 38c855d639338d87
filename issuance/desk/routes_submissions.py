"""Submissions at the desk: packages come in as a stream; going on past a warning, or refusing, is another's act."""

from __future__ import annotations

from typing import Any

from anyio import to_thread
from fastapi import APIRouter, Request
from fastapi.responses import Response

from issuance.desk.door import Act, Desk, Door
from issuance.desk.routes_cohorts import Reason
from issuance.desk.routing import acts, declare, reads
from issuance.desk.scopes import COHORT, OWN
from issuance.desk.uploads import Received, receive
from issuance.errors import Refused
from issuance.intake.package import package_of
from issuance.intake.quarantine import export_quarantine, list_quarantine
from issuance.intake.session import answer_operator, submission_state
from issuance.intake.submit import submit_package
from issuance.intake.wait import refusals_of, submission_standing
from issuance.vault.objects import ObjectStore

router = APIRouter(tags=["提交 / submissions"])
SUBMITTING = Door("submit", OWN, writes=True, apart=True, kept=True)


async def submit(request: Request) -> Response:
    """提交批次。 A package as multipart/form-data: `manifest` (JSON) first, then `files`, and `photos` that rows name.

    The manifest's fields are the contract's; with `?dry_run=true` the package is read and only what is refused is said.
    """
    desk: Desk = request.app.state.desk
    await to_thread.run_sync(SUBMITTING.admit, request)
    received = await receive(request, ObjectStore.of(desk.settings))
    try:
        return await to_thread.run_sync(_submit, request, received)
    finally:
        await to_thread.run_sync(received.discard)


def _submit(request: Request, received: Received) -> Response:
    try_only = request.query_params.get("dry_run") == "true"

    def act(act: Act, manifest: dict[str, Any], **_: Any) -> dict[str, Any]:
        package = package_of(act.connection, manifest)
        act.require([package.city])
        if not received.files:
            raise Refused("FIELDS_MISSING", "缺少：files。 / missing: files.", missing=["files"])
        before, files = refusals_of(act.connection, package.cohort_id), received.files
        found = submit_package(act.settings, package, files, act.by, received.photos, try_only=try_only)
        return {**found, "state": found["state"].lower(), "refusals": len(before.get(found["sha256"], []))}

    content = {"manifest": received.manifest, "files": [(file.name, file.sha256) for file in received.files]}
    return SUBMITTING.pass_through(request, act, content, own_trial=True)


UPLOAD = {
    "requestBody": {"required": True, "content": {"multipart/form-data": {"schema": {
        "type": "object", "required": ["manifest", "files"], "properties": {
            "manifest": {"type": "object", "description": "cohort, city, category, opens, declared; amends"},
            "files": {"type": "array", "items": {"type": "string", "format": "binary"}},
            "photos": {"type": "array", "items": {"type": "string", "format": "binary"}},
        }}}}}
}  # fmt: skip
declare(router, "POST", "/submissions", SUBMITTING, submit, UPLOAD)


@reads(router, "/cohorts/{cohort_id}/submissions/{number}", "view", COHORT)
def show_submission(act: Act, cohort_id: str, number: int) -> Any:
    """一次提交。 The state of a submission."""
    state = submission_state(act.settings, cohort_id, number)
    if not state:
        raise Refused("SUBMISSION_UNKNOWN", f"没有第 {number} 次提交。 / there is no submission {number}.")
    return {"cohort_id": cohort_id, "submission": number, "state": state.lower()}


@reads(router, "/packages/{sha256}", "view", OWN)
def package_standing(act: Act, sha256: str, cohort_id: str) -> Any:
    """受理进度。 A package that was submitted: its state, whether intake has ended, and refusals of announcements."""
    return submission_standing(act.connection, cohort_id, sha256)


@acts(router, "/cohorts/{cohort_id}/submissions/{number}/continue", "release", COHORT)
def go_on(act: Act, cohort_id: str, number: int) -> Any:
    """继续受理。 Go on past the warning threshold; never the submitter's act."""
    return _answer(act, cohort_id, number, True)


@acts(router, "/cohorts/{cohort_id}/submissions/{number}/refuse", "release", COHORT)
def refuse(act: Act, cohort_id: str, number: int, body: Reason) -> Any:
    """退回。 Refuse a submission past the warning threshold."""
    return _answer(act, cohort_id, number, False)


def _answer(act: Act, cohort_id: str, number: int, go_on: bool) -> dict[str, Any]:
    state = answer_operator(act.settings, cohort_id, number, act.by, go_on)
    act.wake("cohort_intake", cohort_id, number)
    return {"cohort_id": cohort_id, "submission": number, "state": state.lower()}


@reads(router, "/cohorts/{cohort_id}/quarantine", "view", COHORT)
def quarantine(act: Act, cohort_id: str, everything: bool = False) -> Any:
    """隔离与重复。 Rows that were not accepted, each with reasons, remedy, and the card in the way."""
    return list_quarantine(act.connection, cohort_id, everything)


class Export(Reason):
    """Why, and the public key (PEM) that the export is sealed to, if any."""

    seal_to: str | None = None


@acts(router, "/cohorts/{cohort_id}/quarantine/export", "unmask", COHORT, kept=False)
def export(act: Act, cohort_id: str, body: Export) -> Any:
    """导出隔离行。 The rows that the user submitted, in clear or sealed, to be corrected."""
    pem = body.seal_to.encode() if body.seal_to else None
    content, rows = export_quarantine(act.settings, cohort_id, act.by, body.reason, pem)
    return Response(content, media_type="application/jose" if pem else "text/csv", headers={"Issuance-Rows": str(rows)})
