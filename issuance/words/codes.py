"""Codes beside the life of a plastic: notices to holders, holder events, refusals, what is erased or kept and why."""

from __future__ import annotations

from dataclasses import dataclass

TEMPLATES: dict[str, tuple[str, str]] = {
    # {place}: code of outlet, employer or service point; {carrier}, {number}: of the letter; {until}: kept until
    "RECEIVED": ("您的社保卡换发申请已受理。", "Your application was received."),
    "READY": (
        "您的社保卡已到 {place}，请本人携带有效身份证件领取，代领须带双方证件。",
        "Your card is ready at {place}; bring your identity document, a proxy both documents.",
    ),
    "POSTED": ("您的社保卡已由 {carrier} 寄出，邮件号 {number}。", "Your card was posted with {carrier}, {number}."),
    "PICKUP": (
        "您的社保卡邮件（{carrier} {number}）待自取，请携带有效身份证件领取。",
        "Your letter ({carrier} {number}) waits at a pick-up point; bring your identity document.",
    ),
    "RETURNED": ("您的社保卡邮件被退回，将再次投递。", "Your card came back and is sent again."),
    "REMADE": ("您的社保卡正在重新制作。", "Your card is made again."),
    "CORRECTION": (
        "您的社保卡资料有误，正在重新制作；如需更正姓名、照片或号码，请在原申请渠道办理。",
        "Your card is made again because data was wrong; correct it where you applied.",
    ),
    "REMINDER": (
        "您的社保卡仍在 {place} 待领，保管至 {until}，逾期将注销。",
        "Your card still waits at {place}; it is kept until {until} and then cancelled.",
    ),
    "ACTIVATE": (
        "您已领卡，请启用社保功能；启用前请使用医保电子凭证。",
        "Activate the card; use the e-credential meanwhile.",
    ),
    "OLD_CARD_STOPS": ("新卡已启用，旧卡同时失效。", "The new card is active, the old one has lapsed."),
    "PENSION_AT_RISK": (
        "您的养老金可能无法按时发放：请携带身份证件和新社保卡到银行网点激活金融功能。",
        "Your pension may not be paid: activate the card's bank account at an outlet of the bank.",
    ),
    "CANCELLED": ("您的社保卡已注销，如需用卡请重新申领。", "Your card was cancelled; apply again for another one."),
}


@dataclass(frozen=True)
class HolderEvent:
    """What may happen to a holder or an application, and the columns of its sealed values (contract: Columns)."""

    name: str
    zh: str
    en: str
    needs: tuple[str, ...] = ()
    """Columns that its sealed values must have."""
    may: tuple[str, ...] = ()
    """Columns that they may have as well."""
    remakes: str = ""
    """SQL over a sealed plastic (plastic_snapshot s) whose file lacks the values: when another one is made."""


_IDENTITY = ("id_type", "birth_date", "sex", "social_security_number")
_DELIVERY = ("outlet_code", "employer_code", "region_code", "address", "postcode")
HOLDER_EVENTS: dict[str, HolderEvent] = {
    event.name: event
    for event in (
        HolderEvent("DEATH", "死亡", "death"),
        HolderEvent("WITHDRAWN", "撤回申请", "application withdrawn"),
        HolderEvent("ID_CORRECTED", "证件号码更正", "ID number corrected", ("id_number",), _IDENTITY, "true"),
        HolderEvent("NAME_CHANGED", "姓名变更", "name changed", ("name",), remakes="true"),
        HolderEvent(
            "ADDRESS_CHANGED", "地址变更", "address changed", ("address", "postcode"),
            remakes="to_holder AND (made IS NULL OR s.state = 'RETURNED')",
        ),
        HolderEvent("PHONE_CHANGED", "手机号变更", "phone changed", ("phone",)),
        HolderEvent("BANK_SWITCHED", "更换银行", "bank switched", ("bank_code",), ("outlet_code",), "true"),
        HolderEvent(
            "COLLECTION_CHANGED", "领取方式变更", "collection method changed", ("collection_method",), _DELIVERY,
            "made IS NULL",
        ),
        HolderEvent("FEE_PAID", "已缴费", "fee paid"),
        HolderEvent("SECOND_APPLICATION", "二次申领", "second application"),
        HolderEvent("ANNULLED", "撤销先前事项", "an earlier event did not happen"),
    )
}  # fmt: skip
ANNULLED = "ANNULLED"
"""Names an earlier event, which did not happen (tracking.annulments)."""
WITHDRAWING = ("DEATH", "WITHDRAWN")
"""Events that end a card; in the order in which one outranks the other."""
REFUSAL_CODES: dict[str, tuple[str, str]] = {
    "UNDECODABLE": ("报文无法解码", "the bytes are not a message of this topic's schema"),
    "NOT_YOURS": ("发送方与主题不符", "the partner named does not own the topic"),
    "COUNT_DIFFERS": ("件数与声明或任务不符", "declared_count differs from the items, or card_count from the job"),
    "HASH_DIFFERS": ("校验和不符", "hash_total differs from the items, or hash_total or sha256 from the job"),
    "EMPTY": ("无内容", "a report without items"),
    "TOO_MANY": ("超过一千项", "more than 1,000 items"),
    "JOB_INVALID": ("任务报告须恰有一项且不含卡号", "a report of kind JOB has exactly one item, without card_ref"),
    "ID_REUSED": ("报告编号已用于其他内容", "the report_id was already used with other content"),
    "CHUNK_INVALID": ("对账单分片有误", "a chunk number outside 1..m, or chunks that disagree"),
    "MILESTONE_UNKNOWN": ("环节代码未知", "an unknown milestone"),
    "REASON_UNKNOWN": ("原因代码未知", "an unknown reason or action"),
    "ROLE_UNKNOWN": ("参与人角色未知", "an unknown role of an actor"),
    "FIELD_MISSING": ("缺少必填项", "a field that the milestone needs is missing"),
    "NOT_AUTHORISED": ("无权报送该环节", "this kind of partner may not report this milestone"),
    "NO_RELATION": ("与该卡无关", "the partner has no relation to this plastic"),
    "PLASTIC_UNKNOWN": ("卡片未曾下单", "a plastic that was never ordered"),
    "JOB_UNKNOWN": ("任务不存在", "a job that was never sent"),
    "NOT_CORRECTABLE": ("任务环节不可更正", "job milestones are not corrected"),
    "FIELD_INVALID": ("字段值无效", "a field has an impossible value"),
    "BEFORE_ORDER": (
        "发生时间早于下单",
        "a time before its window: before the plastic was ordered or the letter given",
    ),
    "TIME_AHEAD": ("时间超前，未记录，可原样重发", "a time up to a day ahead of ours: nothing is kept, send it again"),
    "HANDOVER_GIVER_NEEDED": (
        "须写明交出方",
        "the plastics come from several factories, or from the reporter: handover_giver is needed",
    ),
    "BATCH_TOO_LARGE": ("一批报文解压后过大", "the batch unpacks to more than the bound; none of it was read"),
    "UNPROCESSABLE": ("我方无法处理，将由我方重放", "within bounds, but we can't process it: ours to mend and replay"),
    "PAUSED": ("报送已暂停", "the message that tripped the partner's limit"),
    "CARD_UNKNOWN": ("卡不存在", "no such card"),
    "SEALED_UNREADABLE": ("密封内容无法打开", "the sealed values are not a JSON object of texts in a JWE to our key"),
    "EVENT_UNKNOWN": ("事件代码未知", "an unknown holder event"),
    "COHORT_WITHDRAWN": ("批次已撤销", "the cohort was withdrawn before it opened"),
    "CITY_NOT_SERVED": ("城市未开通", "no partner of the registry serves this city"),
    "CALENDAR_UNKNOWN": ("工作日历未公布", "its cards fall due in a year whose working days are not published"),
    "SUBMISSION_LIVE": ("批次已有有效提交", "the cohort has a live submission with other content"),
    "NOTHING_TO_AMEND": ("批次尚无可更正的提交", "the cohort has no submission to correct"),
    "SUBMISSION_UNDECIDED": ("批次的提交尚未办结", "the intake of the cohort's submission has not ended"),
    "EVENT_NOT_FOUND": ("没有所指的先前事项", "no earlier event of this source and id is recorded of the card"),
    "DATA_ERASED": ("个人数据已清除", "the personal data of the card was erased: its values cannot be changed"),
}
ERASURE_GROUNDS: dict[str, tuple[str, str]] = {
    # why personal data is erased: the retention period, or a ground of PIPL, article 47 (1 to 5), that somebody names
    "RETENTION_ENDED": ("保存期限届满", "the retention period has ended"),
    "REQUESTED": ("本人要求，卡已办结", "the person asked, and the card has ended"),
    "PURPOSE_ENDED": ("处理目的已实现或无法实现", "the purpose has been achieved or cannot be achieved (47.1)"),
    "SERVICE_ENDED": ("停止提供服务", "the service is no longer provided (47.2)"),
    "CONSENT_WITHDRAWN": ("个人撤回同意", "consent was withdrawn (47.3)"),
    "UNLAWFUL": ("违法或违约处理", "the data was processed in breach of law or agreement (47.4)"),
    "OTHER_LAW": ("法律、行政法规规定的其他情形", "another law requires it (47.5)"),
}
LEGAL_GROUNDS = tuple(ERASURE_GROUNDS)[2:]
"""The grounds on which a person is erased although the card is under way or live."""
KEPT_REASONS: dict[str, tuple[str, str]] = {
    # why something of an erased person stays, for how long
    "LIVE_CARD": ("卡在使用中，防止重复发卡", "the card is live: the keyed hash guards against a second one"),
    "JOB_NOT_ENDED": ("制卡任务未办结", "the job has not ended: its file is removed with the cohort's"),
    "NOTICE_RECENT": ("联系文件刚发出", "the contact file may not be fetched yet: it is removed with the cohort's"),
}
