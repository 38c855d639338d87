"""Cases for factories that need something before them: a new key, a pause, a letter that came back."""

from __future__ import annotations

from datetime import datetime, timedelta

from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from issuance.conformance import hands
from issuance.conformance.case import Case, Finding, NotShown, Verdicts
from issuance.conformance.factory import FACTORY, FIRST, accepted
from issuance.conformance.factory_hands import asked, until
from issuance.conformance.roles import item
from issuance.conformance.workbench import Bench, Told
from issuance.ledger.connection import transaction
from issuance.tracking.resuming import resume_partner
from issuance.vault.partner_keys import add_key
from issuance.wire.pauses import pause_partner

ASK = "A request is answered by a milestone, not by a message"


def check_new_key(bench: Bench) -> Verdicts:
    """An order sealed to the key that KEY_ROTATION named is opened and accepted."""
    if not bench.key_folder().is_dir():
        yield NotShown("合作方目录不在本机 / the partner's folder is not on this machine")
        return
    key_id = _add_key(bench)
    bench.until(lambda: [one for one in bench.answers("KEY_ROTATION") if one["key_id"] == key_id])
    bench.orders.send("new-key")
    _retire(bench, key_id)
    if not accepted(bench, "new-key"):
        job_id = bench.check.job_id("new-key")
        why = ", ".join(one.item["reason"] or "" for one in bench.of_job("new-key", "JOB_REFUSED")) or "-"
        yield Finding("NOT_OPENED", f"{job_id} 未受理（{why}） / sealed to {key_id}, was not accepted ({why})")


def _add_key(bench: Bench) -> str:
    """Make the partner's next key as the partner would: the private half into its folder, the public half to us."""
    key_id = bench.check.cohort_id
    private = rsa.generate_private_key(public_exponent=65_537, key_size=3072)
    pem = private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    path = bench.key_folder() / f"private-{key_id}.pem"
    path.touch(mode=0o600)
    path.write_bytes(pem)
    bench.laid.append(path)
    public = private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    day, user = bench.check.day, bench.check.user
    with transaction(bench.settings.database_url) as connection:
        add_key(connection, bench.registry, bench.partner.id, key_id, public, day, user, day)
    return key_id


def _retire(bench: Bench, key_id: str) -> None:
    """Retire the check's key; the previous one is used again."""
    with transaction(bench.settings.database_url) as connection:
        connection.execute(
            "UPDATE partner_key SET valid_until = %s WHERE (partner, key_id) = (%s, %s)",
            (bench.check.day - timedelta(days=1), bench.partner.id, key_id),
        )


def check_pause(bench: Bench) -> Verdicts:
    """What it reports while paused is not lost: it is read when it is resumed."""
    with transaction(bench.settings.database_url) as connection:
        pause_partner(connection, bench.partner.id, "RUN", bench.check.day)
    bench.notify("PAUSED", "pause", None, code="RUN")
    try:
        bench.orders.send("paused")
        written = until(bench, lambda: bench.of_job("paused", "JOB_ACCEPTED", "JOB_REFUSED"))
    finally:
        with transaction(bench.settings.database_url) as connection:
            resume_partner(connection, bench.partner.id, bench.check.day)
    if not written and not until(bench, lambda: bench.of_job("paused", "JOB_ACCEPTED", "JOB_REFUSED")):
        yield Finding(
            "SILENT_AFTER_PAUSE", f"{bench.check.job_id('paused')} 恢复后仍未答复 / is not answered after the resume"
        )
        return
    if not until(bench, lambda: _answered(bench)):
        yield Finding("LOST_IN_PAUSE", f"{bench.check.job_id('paused')} 的答复未被采用 / its answer was not applied")


def _answered(bench: Bench) -> bool:
    query = "SELECT FROM job WHERE job_id = %s AND coalesce(job_accepted, job_refused) IS NOT NULL"
    return bool(bench.rows_of(query, bench.check.job_id("paused")))


def check_hand_out(bench: Bench) -> Verdicts:
    """A returned letter goes out again on request, as another hand-over."""
    first = _letter(bench, 0)
    if first is None:
        yield NotShown("无邮寄交接 / nothing was handed over by mail")
        return
    _return_letter(bench, first, "CLOSED")
    if not bench.until(lambda: asked(bench, "HAND_OUT", first.plastic)):
        yield NotShown("未能提出再次发放 / no HAND_OUT could be requested")
        return
    if not until(bench, lambda: len(_trips(bench, first.plastic)) > 1):
        ref, attempt = first.plastic
        yield Finding("UNANSWERED", f"HAND_OUT {ref}/{attempt} 未答复 / is not answered by another HANDED_OVER")


def check_destroy(bench: Bench) -> Verdicts:
    """A letter that was refused is destroyed on request and not before, with two witnesses."""
    letter = _letter(bench, 1)
    if letter is None:
        yield NotShown("无邮寄交接 / nothing was handed over by mail")
        return
    plastic = letter.plastic
    _return_letter(bench, letter, "REFUSED")
    for request, partner, milestone in (
        ("CANCEL_SS", bench.hrss, "SS_CANCELLED"),
        ("CANCEL_ACCOUNT", bench.check.bank, "ACCOUNT_CANCELLED"),
    ):
        hands.await_request(bench, request, plastic)
        if partner not in bench.also:
            bench.role(partner).report("activation", [item(milestone, plastic)])
    if not bench.until(lambda: asked(bench, "DESTROY", plastic)):
        yield NotShown("未能提出销毁 / no DESTROY could be requested")
        return
    destroy = asked(bench, "DESTROY", plastic)[0]
    if not until(bench, lambda: bench.of_plastics([plastic], "DESTROYED")):
        yield Finding("UNANSWERED", f"DESTROY {plastic[0]}/{plastic[1]} 未答复 / is not answered")
    yield from destroyed_rightly(bench.of_plastics([plastic], "DESTROYED"), destroy.at)


def destroyed_rightly(told: list[Told], asked_at: datetime) -> Verdicts:
    """Two witnesses, and not before the request."""
    for one in told:
        witnesses = {actor["reference"] for actor in one.item["actors"] if actor["role"] == "WITNESS"}
        if len(witnesses) < 2:
            yield Finding("WITNESSES", f"{one.seen.name} 监销人 {len(witnesses)} 名 / names {len(witnesses)} witnesses")
        if one.seen.at < asked_at:
            yield Finding("TOO_EARLY", f"{one.seen.name} 先于请求 / came before the request")


def _letter(bench: Bench, nth: int) -> Told | None:
    """The first hand-over by mail of the nth mailed plastic."""
    plastic = bench.by_method("plain", "mail")[nth]
    until(bench, lambda: bench.of_plastics([plastic], "HANDED_OVER"))
    return next((one for one in bench.of_plastics([plastic], "HANDED_OVER") if one.item["tracking_no"]), None)


def _trips(bench: Bench, plastic: tuple[str, int]) -> set[object]:
    told = bench.of_plastics([plastic], "HANDED_OVER")
    return {one.item["tracking_no"] or one.report["handover_id"] for one in told}


def _return_letter(bench: Bench, letter: Told, reason: str) -> None:
    """As the carrier, post it and return it; its slip goes into the box."""
    carrier, number = letter.report["to_place"], letter.item["tracking_no"]
    items = [item("POSTED", tracking_no=number), item("RETURNED", tracking_no=number, reason=reason)]
    if carrier not in bench.also:
        bench.role(carrier).report("mail", items)
    (ref, attempt) = letter.plastic
    bench.box.lay(f"{bench.check.cohort_id}-{number}", "returned", tracking_no=number, card_ref=ref, attempt=attempt)


CASES = (
    *FIRST,
    Case(
        "key-rotation", FACTORY, "换钥后以新密钥密封的文件能打开",
        "Before a key changes, KEY_ROTATION says its id and first day", check_new_key,
    ),
    Case("hand-out", FACTORY, "退回的邮件按请求再次投递", ASK, check_hand_out),
    Case(
        "destroy", FACTORY, "按请求销毁，两名监销人",
        "DESTROYED names two different actors of role WITNESS.", check_destroy,
    ),
    Case(
        "pause", FACTORY, "暂停期间的报告恢复后均被读取",
        "an operator resumes reading your messages from where it stopped", check_pause,
    ),
)  # fmt: skip
