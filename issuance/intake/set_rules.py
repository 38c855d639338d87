"""Codes and texts of what is decided over the whole set of rows, in one step after all parts (contract.md)."""

from __future__ import annotations

from issuance.intake.rule import Rule

_ID = ("id_number", "id_type")

SET_RULES: tuple[Rule, ...] = (
    Rule("APPLICATION_ID_REUSED", "error", ("application_id",),
         "同一申请编号用于两人", "one application_id for two people",
         "请为每人使用不同的申请编号，两行均须更正。",
         "Give each person an id of their own; both rows need a correction."),
    Rule("DUPLICATE_PERSON", "error", _ID,
         "同一人已有申请或卡", "the person already has an accepted application or a card",
         "无需处理：以 card_ref 所示的卡为准。", "Nothing to do: the card named by card_ref counts."),
    Rule("SECOND_APPLICATION", "error", ("kind", *_ID),
         "按二次申领处理：原卡在库", "treated as a second application: the person's card is in store",
         "无需处理：card_ref 所示的卡将再次发放。", "Nothing to do: the card named by card_ref is handed out again."),
    Rule("LOSS_REPORT_NEEDED", "error", ("kind", *_ID),
         "原卡仍有效，补卡须先挂失", "the earlier card is live: a replacement needs a loss report first",
         "请先为 card_ref 所示的卡办理正式挂失，再提交更正。",
         "Formally report the loss of the card named by card_ref, then submit a correction."),
    Rule("LINE_ACCEPTED", "error", (),
         "更正所指的行已受理", "the correction names a line that was accepted",
         "已受理的行不能更正：请通过持卡人事件变更（地址、姓名、证件号码、银行等）。",
         "An accepted line is not corrected: send a holder event (address, name, ID number, bank)."),
    Rule("LINE_DUPLICATE", "error", (),
         "更正所指的行是重复行", "the correction names a line that was a duplicate",
         "无需处理：该人已有申请或卡。", "Nothing to do: the person already has an application or a card."),
    Rule("LINE_UNKNOWN", "error", (),
         "更正所指的行不存在，或其提交尚未办结",
         "the correction names a line that does not exist or is not decided yet",
         "请使用 quarantine export 导出的 file 和 line 两列，不要改动。",
         "Use the columns file and line as `quarantine export` wrote them."),
    Rule("LINE_NAMED_TWICE", "error", (),
         "一份更正中有两行指同一行", "two rows of one correction name the same line",
         "请只保留一行。", "Keep one of them."),
    Rule("LINE_CORRECTED", "error", (),
         "更正所指的行已被另一份更正处理", "the line was already corrected by another submission",
         "重新导出隔离行：如仍需更正，请更正新的那一行。",
         "Export the quarantine again: what still needs correcting is listed under its newer line."),
)  # fmt: skip
"""Decided in one set-based step after all parts (contract.md); only their texts are here."""

FINAL = ("LINE_ACCEPTED", "LINE_DUPLICATE", "LINE_UNKNOWN", "LINE_NAMED_TWICE", "LINE_CORRECTED")
"""Reasons of a correction's row that corrects nothing: such a row is not open and cannot itself be corrected."""
