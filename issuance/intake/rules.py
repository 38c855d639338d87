"""The row rules as data: code, severity, columns read, error and remedy, and the predicate.

The codes are the reasons of `quarantine list` and are frozen; docs/rules.md and the Great Expectations suite are
generated from this table. Sources of the rules: domain.md (Checks on an application), contract.md (Cohort package).
"""

from __future__ import annotations

from issuance.city.policy import Policy
from issuance.intake import papers, photos
from issuance.intake import predicates as p
from issuance.intake.columns import ALWAYS, CODES, CONDITIONS, LABELS, MAX_LENGTH, NAMES, Condition
from issuance.intake.predicates import RuleContext
from issuance.intake.rule import Rule
from issuance.intake.set_rules import SET_RULES

__all__ = ["ROW_RULES", "RULES", "SET_RULES", "Rule", "RuleContext"]


def _when(conditions: tuple[Condition, ...]) -> tuple[str, str]:
    """The conditions of a required column in words."""
    words = {c: "或".join(CODES[c.when][value][0] for value in c.values) for c in conditions}
    zh = "、".join(f"{LABELS[c.when]}为{words[c]}" if c.values else f"填写{LABELS[c.when]}" for c in conditions)
    en = ", ".join(f"{c.when} is {' or '.join(c.values)}" if c.values else f"{c.when} is given" for c in conditions)
    return (f"（{zh}时必填）", f" (needed when {en})") if conditions else ("", "")


def _required(column: str, *conditions: Condition) -> Rule:
    zh, en = _when(conditions)
    read = (column, *dict.fromkeys(condition.when for condition in conditions))
    return Rule(
        f"REQUIRED_{column.upper()}", "error", read,
        f"缺少{LABELS[column]}{zh}", f"{column} is missing{en}",
        f"请补填{LABELS[column]}后更正提交。", f"Fill in {column} and submit a correction.",
        p.required(column, conditions), "city" if column == "postcode" else "nobody",
    )  # fmt: skip


def _coded(column: str) -> Rule:
    codes = ", ".join(CODES[column])
    return Rule(
        f"CODE_{column.upper()}", "error", (column,),
        f"{LABELS[column]}代码未知", f"unknown code in {column}",
        f"请填写下列代码之一：{codes}。", f"Use one of {codes}.", p.coded(column),
    )  # fmt: skip


_ID = ("id_number", "id_type")
_PHOTO = ("photo_ref", photos.FINDING)
_CONDITIONAL = dict.fromkeys(condition.column for condition in CONDITIONS)

ROW_RULES: tuple[Rule, ...] = (
    *(_required(column) for column in ALWAYS),
    *(_required(column, *(c for c in CONDITIONS if c.column == column)) for column in _CONDITIONAL),
    *(_coded(column) for column in CODES),
    Rule("APPLICATION_ID_SHAPE", "error", ("application_id",),
         "申请编号格式不符", "application_id is not 1 to 64 letters, digits, dots, dashes or underscores",
         "请使用 1 至 64 位字母、数字、点、下划线或连字符。",
         "Use 1 to 64 of A-Z a-z 0-9 . _ -",
         p.shaped("application_id", r"[A-Za-z0-9_.\-]{1,64}")),
    Rule("APPLICATION_ID_PERSONAL", "error",
         ("application_id", "id_number", "phone", "guardian_id_number", "social_security_number"),
         "申请编号含有证件号码或手机号", "application_id contains an ID number or a phone number",
         "申请编号会出现在日志和对账单中，请改用不含个人信息的编号。",
         "The id appears in logs: use one without personal data.",
         p.application_id_impersonal),
    Rule("APPLIED_AT_INVALID", "error", ("applied_at",),
         "申请日期不存在或格式不符", "applied_at is not a valid date",
         "请按 2025-10-09 的形式填写真实日期。", "Write a valid date as 2025-10-09.", p.real_day("applied_at")),
    Rule("APPLIED_AT_FUTURE", "error", ("applied_at",),
         "申请日期晚于业务日期", "applied_at is in the future",
         "请核对申请日期。", "Check the day of application.", p.not_future("applied_at")),
    Rule("NUMBER_DAMAGED", "error",
         ("id_number", "phone", "social_security_number", "guardian_id_number", "old_card_number"),
         "号码被 Excel 转成科学计数或末三位变成 000，末位已丢失",
         "a number that Excel turned into 1.1E+17 or padded with 000: its last digits are lost",
         "请从源系统重新导出，并将号码列设为文本。", "Export again from the source with number columns as text.",
         p.undamaged("id_number", "phone", "social_security_number", "guardian_id_number", "old_card_number")),
    Rule("ID_OLD_15", "error", _ID,
         "15 位旧身份证号码", "an old 15-digit ID number",
         "请填写现行 18 位公民身份号码。", "Give the 18-digit number of the present identity card.", p.id_is_new),
    Rule("ID_SHAPE", "error", _ID,
         "证件号码与证件类型的格式不符", "id_number does not have the format of its id_type",
         "请核对证件类型和号码（居民身份证 18 位，居住证以 81/82/83 开头，永久居留证以 9 开头）。",
         "Check type and number (18 characters; HMT permits begin with 81, 82, 83, foreign permanent cards with 9).",
         p.id_shape),
    Rule("ID_REGION", "error", _ID,
         "身份号码前两位不是省级代码", "the first two digits of id_number are not a province code",
         "请核对号码；居住证请选择港澳台居民居住证。",
         "Check the number; for a residence permit use id_type hmt_permit.",
         p.id_region),
    Rule("ID_COUNTY_UNKNOWN", "warning", _ID,
         "身份号码前六位不在历年行政区划代码中", "the first six digits of id_number are in no list of GB/T 2260",
         "请对照证件核对前六位；确认无误则无需处理。", "Compare with the card; nothing to do if they are right.",
         p.id_county),
    Rule("ID_CHECK_DIGIT", "error", _ID,
         "证件号码校验位不符", "the check digit of id_number is wrong",
         "号码有误，请对照证件逐位核对。", "A digit is wrong: compare with the card.", p.id_check_digit),
    Rule("ID_BIRTH_DATE", "error", _ID,
         "证件号码中的出生日期不存在或在未来", "the birth date inside id_number does not exist or is in the future",
         "请对照证件核对第 7 至 14 位。", "Compare positions 7 to 14 with the card.", p.id_birth_date),
    Rule("SEX_DIFFERS", "error", ("sex", *_ID),
         "性别与证件号码不一致", "sex disagrees with id_number",
         "请核对性别和证件号码第 17 位（奇数为男）。", "Check sex and position 17 of the number (odd = male).",
         p.sex_agrees),
    Rule("BIRTH_DATE_INVALID", "error", ("birth_date",),
         "出生日期不存在或格式不符", "birth_date is not a valid date",
         "请按 1960-01-05 的形式填写真实日期。", "Write a valid date as 1960-01-05.", p.real_day("birth_date")),
    Rule("BIRTH_DATE_FUTURE", "error", ("birth_date",),
         "出生日期晚于业务日期", "birth_date is in the future",
         "请核对出生日期。", "Check the birth date.", p.not_future("birth_date")),
    Rule("BIRTH_DATE_DIFFERS", "error", ("birth_date", *_ID),
         "出生日期与证件号码不一致", "birth_date disagrees with id_number",
         "请核对出生日期和证件号码第 7 至 14 位。", "Check birth_date and positions 7 to 14.", p.birth_date_agrees),
    Rule("SOCIAL_SECURITY_NUMBER_DIFFERS", "error", ("social_security_number", *_ID),
         "社会保障号码与身份号码不一致", "social_security_number is not the resident's ID number",
         "居民的社会保障号码即身份号码，可留空。", "For residents it is the ID number; it may stay empty.",
         p.social_security_number_agrees),
    Rule("NAME_SHAPE", "error", ("name", "category", "id_type"),
         "姓名含有不能使用的字符", "name holds characters a name cannot have, or is one character long",
         "请核对姓名：汉字（含生僻字）和间隔号 ·，中间不留空格；外国人用护照上的拉丁字母；"
         "显示为 ? 或方框的字请用 Unicode 重新录入。",
         "Chinese characters with · and no blanks; Latin letters for foreigners; re-enter characters shown as ?.",
         p.name_shape),
    Rule("PHONE_SHAPE", "error", ("phone",),
         "手机号格式不符", "phone is not a mainland mobile number",
         "请填写 11 位手机号（1 开头，第二位 3 至 9）。", "Give an 11-digit mobile number (1, then 3 to 9).",
         p.shaped("phone", rf"{p.MOBILE}|{p.DAMAGED}")),
    Rule("POSTCODE_SHAPE", "error", ("postcode",),
         "邮政编码不是 6 位数字", "postcode is not six digits",
         "请填写 6 位邮政编码。", "Give six digits.", p.shaped("postcode", "[0-9]{6}|[1-7][0-9]{4}")),
    Rule("LEADING_ZERO_LOST", "error", ("postcode",),
         "邮政编码只有 5 位，开头的 0 可能被 Excel 去掉", "a postcode of five digits: Excel drops a leading 0",
         "请将该列设为文本后补上开头的 0，或补全缺少的数字。",
         "Make the column text and put the leading 0 back, or the digit that is missing.", p.postcode_whole),
    Rule("REGION_CODE_UNKNOWN", "error", ("region_code",),
         "行政区划代码未知", "region_code is not a code of GB/T 2260",
         "请填写 6 位行政区划代码（GB/T 2260）。", "Give six digits of GB/T 2260.",
         p.region_known),
    Rule("REGION_CODE_ABOLISHED", "warning", ("region_code",),
         "行政区划代码已撤销", "region_code is an abolished code",
         "无需处理；如能确定，请改用现行代码。", "Nothing to do; use the present code if you know it.",
         p.region_in_force),
    Rule("BANK_UNKNOWN", "error", ("bank_code",),
         "银行代码不在合作银行名录中", "bank_code is not in the registry",
         "请填写合作银行的代码。", "Use the code of a partner bank.", p.bank_known),
    Rule("OUTLET_CODE_SHAPE", "error", ("outlet_code",),
         "网点代码格式不符", "outlet_code is not BANK-digits",
         "请按“银行代码-数字”填写，例如 ICBC-0101。", "Write BANK-digits, such as ICBC-0101.",
         p.shaped("outlet_code", p.OUTLET)),
    Rule("OUTLET_OTHER_BANK", "error", ("outlet_code", "bank_code"),
         "网点不属于所选银行", "the outlet belongs to another bank",
         "请选择所选银行的网点，或更改银行。", "Choose an outlet of the bank, or the outlet's bank.",
         p.outlet_of_bank),
    Rule("COLLECTION_NOT_OFFERED", "error", ("collection_method",),
         "本市不提供该领取方式", "the city does not offer this way to collect",
         "请选择本市提供的领取方式。", "Choose a way the city's policy offers.", p.collection_offered),
    Rule("MINOR_OUTLET_ONLY", "error", ("collection_method", "category"),
         "未成年人只能在网点领取", "minors collect at an outlet only",
         "请将领取方式改为 outlet 并填写网点代码。", "Use collection_method outlet with an outlet_code.",
         papers.minor_at_outlet, "city"),
    Rule("MINOR_TOO_OLD", "error", ("birth_date", "category", *_ID),
         "人员类别为未成年人，但已满 18 周岁", "category is minor, but the person is 18 or older",
         "请核对出生日期和人员类别。", "Check birth date and category.", papers.minor_is_minor, "city"),
    Rule("WORKER_TOO_YOUNG", "error", ("birth_date", "category", *_ID),
         "在职或灵活就业人员未满 16 周岁", "employed, but under 16",
         "请核对出生日期和人员类别。", "Check birth date and category.", papers.worker_old_enough, "city"),
    Rule("GUARDIAN_ID_CHECK_DIGIT", "error", ("guardian_id_number",),
         "监护人证件号码校验位不符", "the check digit of guardian_id_number is wrong",
         "请对照监护人证件核对号码。", "Compare with the guardian's card.", papers.guardian_number),
    Rule("GUARDIAN_IS_HOLDER", "error", ("guardian_id_number", "id_number"),
         "监护人与本人证件号码相同", "guardian_id_number is the holder's own number",
         "请填写监护人的证件号码。", "Give the guardian's own number.", papers.guardian_differs),
    Rule("FOREIGNER_ID_TYPE", "error", ("id_type", "category"),
         "外国人的证件类型不符", "a foreigner's document is neither a passport nor a permanent-residence card",
         "请使用护照或外国人永久居留身份证。", "Use passport or foreign_permanent.", papers.foreigner_papers),
    Rule("NATIONALITY_CHINESE", "error", ("nationality", "category"),
         "人员类别为外国人，但国籍为中国", "category is foreigner, but the nationality is Chinese",
         "请核对国籍和人员类别。", "Check nationality and category.", papers.foreign_nationality),
    Rule("FIRST_WITH_OLD_CARD", "warning", ("kind", "old_card_number", "old_card_generation"),
         "首次申领却填写了旧卡", "kind is first, but an old card is named",
         "如为换发，请更正业务类型；否则无需处理。", "Correct kind if it is a renewal; else nothing to do.",
         papers.first_without_old_card),
    Rule("PHOTO_SHA256_SHAPE", "error", ("photo_sha256",),
         "照片校验值不是 64 位十六进制", "photo_sha256 is not 64 hexadecimal digits",
         "请填写照片文件的 SHA-256。", "Give the SHA-256 of the photo file.",
         p.shaped("photo_sha256", "[0-9a-f]{64}")),
    Rule("PHOTO_MISSING", "error", _PHOTO,
         "没有收到该行的照片", "the photo named by the row was not submitted",
         "请把照片放入 photos 文件夹，更正时随 --photos 提交；或清空照片两列，使用人社留存照片。",
         "Put it into the photos folder and submit a correction with --photos; or empty both photo columns.",
         photos.finds("PHOTO_MISSING")),
    Rule("PHOTO_DIFFERS", "error", _PHOTO,
         "照片与校验值不符", "the photo does not match photo_sha256",
         "请核对照片文件，重新计算 SHA-256。", "Check the file and compute its SHA-256 again.",
         photos.finds("PHOTO_DIFFERS")),
    Rule("PHOTO_FORMAT", "error", _PHOTO,
         "照片不是完整的 JPEG", "the photo is not an intact JPEG",
         "请重新导出为 JPEG。", "Export it again as JPEG.", photos.finds("PHOTO_FORMAT")),
    Rule("PHOTO_SIZE", "error", _PHOTO,
         "照片不是 358×441 像素", "the photo is not 358×441 pixels",
         "请按 358×441 像素重新制作。", "Make it 358×441 pixels.", photos.finds("PHOTO_SIZE")),
    Rule("PHOTO_BACKGROUND", "error", _PHOTO,
         "照片背景不是白色（边缘至少 95% 的像素须不低于 230）",
         "the background is not white: fewer than 95 % of the border pixels are 230 or lighter",
         "请重新拍摄白底照片。", "Take a photo before a white background.",
         photos.finds("PHOTO_BACKGROUND"), "city"),
    Rule("RETIREMENT_TOO_EARLY", "error", ("birth_date", "sex", "category", "proof_ref", *_ID),
         "低于最早退休年龄且无证明材料", "below the earliest retirement age and without proof",
         "请核对出生日期和人员类别，或补填退休证明材料编号。", "Check birth date and category, or give proof_ref.",
         papers.retirement_possible, "city"),
    Rule("RETIREMENT_EARLY", "warning", ("birth_date", "sex", "category", "proof_ref", *_ID),
         "低于法定退休年龄", "below the statutory retirement age",
         "无需处理；如有误请更正。", "Nothing to do unless it is a mistake.", papers.retirement_usual),
    Rule("AGE_IMPLAUSIBLE", "warning", ("birth_date",),
         "年龄超过 120 岁", "older than 120 years",
         "请核对出生日期；确认无误则无需处理。", "Check the birth date; nothing to do if it is right.",
         papers.age_plausible),
    Rule("TEXT_UNPRINTABLE", "error", NAMES,
         "含有控制字符或无法识别的字符", "a control or replacement character in a field",
         "请从源系统重新导出，检查编码。", "Export again and check the encoding.", p.printable),
    Rule("TEXT_TOO_LONG", "error", NAMES,
         f"字段超过 {MAX_LENGTH} 个字符", f"a field longer than {MAX_LENGTH} characters",
         "请检查引号和列是否错位。", "Check quotes and shifted columns.", p.short_enough),
)  # fmt: skip

RULES: dict[str, Rule] = {rule.id: rule for rule in (*ROW_RULES, *SET_RULES)}


def severity_in(rule: Rule, policy: Policy) -> str:
    """A rule's severity in a city: a waived error is a warning."""
    return "warning" if rule.id in policy.waived_rules else rule.severity
