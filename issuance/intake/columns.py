"""The columns of a cohort package as data: headers, code lists, what is required when (contract.md, Cohort package).

Reading, normalising, rules and docs are generated from these tables; a column or a code is added here and nowhere else.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Column:
    """One column: its name and its Chinese header aliases (the first is its label)."""

    name: str
    zh: tuple[str, ...]
    required: bool = False
    """Required in every row, so the header must have it."""


COLUMNS: tuple[Column, ...] = (
    Column("application_id", ("申请编号", "申请号", "业务流水号"), True),
    Column("applied_at", ("申请日期", "申请时间", "申领日期"), True),
    Column("channel", ("申请渠道", "渠道")),
    Column("category", ("人员类别", "人群类别"), True),
    Column("id_type", ("证件类型", "证件类别"), True),
    Column("id_number", ("证件号码", "身份证号", "身份证号码", "公民身份号码"), True),
    Column("social_security_number", ("社会保障号码", "社会保障号")),
    Column("name", ("姓名",), True),
    Column("sex", ("性别",), True),
    Column("birth_date", ("出生日期",), True),
    Column("nationality", ("国籍", "国家/地区")),
    Column("phone", ("手机号", "手机号码", "联系电话"), True),
    Column("region_code", ("行政区划代码", "参保地区划代码"), True),
    Column("address", ("通讯地址", "邮寄地址", "地址")),
    Column("postcode", ("邮政编码", "邮编")),
    Column("bank_code", ("银行代码", "发卡银行", "服务银行"), True),
    Column("collection_method", ("领取方式", "领卡方式"), True),
    Column("outlet_code", ("网点代码", "领卡网点")),
    Column("employer_code", ("单位代码", "单位编号")),
    Column("kind", ("业务类型", "申领类型"), True),
    Column("fee_status", ("缴费状态",)),
    Column("old_card_number", ("旧卡号", "原卡号")),
    Column("old_card_generation", ("旧卡代次", "原卡代次")),
    Column("guardian_name", ("监护人姓名",)),
    Column("guardian_id_number", ("监护人证件号码", "监护人身份证号")),
    Column("proof_ref", ("证明材料编号", "证明材料")),
    Column("photo_ref", ("照片编号", "照片文件")),
    Column("photo_sha256", ("照片校验值", "照片SHA256")),
)
NAMES: tuple[str, ...] = tuple(column.name for column in COLUMNS)
ALWAYS: tuple[str, ...] = tuple(column.name for column in COLUMNS if column.required)
LABELS: dict[str, str] = {column.name: column.zh[0] for column in COLUMNS}
HEADERS: dict[str, str] = {
    # every accepted header, lower case, to its column
    **{column.name: column.name for column in COLUMNS},
    **{alias.lower(): column.name for column in COLUMNS for alias in column.zh},
}


@dataclass(frozen=True)
class Condition:
    """`column` is required in rows whose `when` has one of `values`; no values: whenever `when` is given."""

    column: str
    when: str
    values: tuple[str, ...] = ()


CONDITIONS: tuple[Condition, ...] = (
    Condition("address", "collection_method", ("mail", "home_delivery")),
    Condition("postcode", "collection_method", ("mail", "home_delivery")),
    Condition("outlet_code", "collection_method", ("outlet",)),
    Condition("employer_code", "collection_method", ("employer",)),
    Condition("guardian_name", "category", ("minor",)),
    Condition("guardian_id_number", "category", ("minor",)),
    Condition("nationality", "category", ("foreigner",)),
    Condition("social_security_number", "id_type", ("passport", "foreign_permanent", "hmt_permit")),
    Condition("fee_status", "kind", ("replacement", "exchange")),
    Condition("photo_sha256", "photo_ref"),
)

CODES: dict[str, dict[str, tuple[str, ...]]] = {
    # column: code: its Chinese aliases (the first is its label)
    "category": {
        "retiree": ("退休人员", "退休"),
        "employee": ("在职职工", "在职"),
        "resident": ("城乡居民", "居民"),
        "flexible": ("灵活就业人员", "灵活就业"),
        "minor": ("未成年人",),
        "foreigner": ("外国人", "外籍人员"),
    },
    "id_type": {
        "resident_id": ("居民身份证", "身份证"),
        "foreign_permanent": ("外国人永久居留身份证", "外国人永久居留证"),
        "hmt_permit": ("港澳台居民居住证",),
        "passport": ("护照",),
    },
    "sex": {"male": ("男", "男性"), "female": ("女", "女性")},
    "collection_method": {
        "outlet": ("银行网点", "网点领取"),
        "mail": ("邮寄",),
        "home_delivery": ("银行上门送卡", "上门送卡"),
        "employer": ("单位领取", "单位"),
        "service_point": ("服务网点", "社保服务点"),
    },
    "kind": {
        "renewal": ("换发", "到期换发"),
        "first": ("首次申领", "新办"),
        "replacement": ("补卡",),
        "exchange": ("换卡",),
        "reapplication": ("二次申领",),
    },
    "fee_status": {"exempt": ("免缴", "免费"), "paid": ("已缴费",), "unpaid": ("未缴费", "待缴费")},
    "old_card_generation": {"1": ("一代", "第一代"), "2": ("二代", "第二代"), "3": ("三代", "第三代")},
    "channel": {
        "hrss_web": ("人社网站",),
        "jingtong": ("京通",),
        "wechat": ("微信公众号", "北京人社微信"),
        "minsheng": ("北京民生一卡通",),
        "national_app": ("国家医保服务平台",),
        "alipay": ("支付宝",),
        "city_app": ("城市服务APP",),
        "bank_outlet": ("银行网点",),
        "service_point": ("社保服务点",),
        "employer": ("单位集中办理", "单位"),
    },
}

PROVINCES: frozenset[str] = frozenset(
    # GB/T 2260, first two digits
    str(number)
    for numbers in (range(11, 16), range(21, 24), range(31, 38), range(41, 47), range(50, 55), range(61, 66))
    for number in numbers
) | {"71", "81", "82"}
ID_PROVINCES: frozenset[str] = PROVINCES - {"81", "82"}
"""Of a resident identity number: 81, 82 and 83 stand in residence permits of HMT residents only (GB 11643)."""

MAX_LENGTH = 500
"""Characters in a field. [rule] No field of the contract needs more; a longer one is a shifted or unclosed field."""
