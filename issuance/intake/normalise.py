"""Harmless variants brought to one form, and counted (contract.md, Cohort package). Nothing is refused here.

Each step takes one column as an Arrow array and returns it changed where a variant stands; most columns have none, so
every step first asks for the rows concerned and works on those alone.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from issuance.intake.columns import CODES, NAMES
from issuance.intake.identifiers import TEXT, texts

Step = Callable[[pa.Array], pa.Array]

NOTES: dict[str, tuple[str, str]] = {
    "full_width": ("全角字符改为半角", "full-width characters"),
    "spaces": ("去除首尾空白", "white space around a value"),
    "apostrophe": ("去除号码前的撇号（Excel 文本标记）", "an apostrophe before a number, Excel's mark of a text"),
    "lower_case": ("字母大小写统一（如身份证末位 x）", "letter case of numbers, as a lower-case x"),
    "phone_form": ("去除手机号中的 +86、空格和连字符", "+86, blanks and hyphens in a phone number"),
    "date_form": ("日期改为 YYYY-MM-DD", "another form of a date"),
    "name_dot": ("姓名间隔号改为 ·", "another dot in a name"),
    "code_label": ("中文代码值改为代码", "the Chinese label of a code"),
}
"""Kind of note: its text in Chinese and English; counted per value, not per row."""

FULL_WIDTH = {code: code - 0xFEE0 for code in range(0xFF01, 0xFF5F)} | {0x3000: 0x20}
# NBSP, ideographic space, zero-width space and byte order mark travel along when people copy from web pages
SPACES = " \t\r\n\v\f\u00a0\u3000\u200b\ufeff"
NAME_DOTS = "[•‧∙⋅・･˙•●]"


def _rewritten(values: pa.Array, concerned: pa.Array, rewrite: Callable[[pa.Array], pa.Array]) -> pa.Array:
    """The values with `rewrite` applied to the concerned ones."""
    if not pc.any(concerned).as_py():
        return values
    return pc.replace_with_mask(values, concerned, rewrite(values.filter(concerned)).cast(values.type))


def _half_width(values: pa.Array) -> pa.Array:
    """Full-width forms U+FF01-FF5E and U+3000 as ASCII. No NFKC: it would replace rare characters of names."""
    if pc.all(pc.string_is_ascii(values)).as_py():
        return values
    found = pc.match_substring_regex(values, "[\uff01-\uff5e\u3000]")
    return _rewritten(values, found, lambda some: pa.array([v.translate(FULL_WIDTH) for v in some.to_pylist()]))


def _trimmed(values: pa.Array) -> pa.Array:
    return pc.utf8_trim(values, characters=SPACES)


def _upper(values: pa.Array) -> pa.Array:
    return pc.ascii_upper(values)


def _lower(values: pa.Array) -> pa.Array:
    return pc.ascii_lower(values)


def _number(values: pa.Array) -> pa.Array:
    """Numbers without the apostrophe that people type to make Excel keep them as text."""
    if not pc.any(pc.starts_with(values, "'")).as_py():
        return values
    return pc.replace_substring_regex(values, r"\A'+([0-9A-Za-z+])", r"\1")


def _phone(values: pa.Array) -> pa.Array:
    found = pc.invert(pc.match_substring_regex(values, r"\A(?:1[0-9]{10})?\z"))

    def rewrite(some: pa.Array) -> pa.Array:
        bare = pc.replace_substring_regex(some, r"[ \-‐-―()]", "")
        return pc.replace_substring_regex(bare, r"\A(?:\+|00)?86(1[0-9]{10})\z", r"\1")

    return _rewritten(values, found, rewrite)


def _name(values: pa.Array) -> pa.Array:
    """The dots used in names as U+00B7; a full stop only between two Chinese characters."""
    dotted = pc.replace_substring_regex(values, NAME_DOTS, "·")
    for _ in range(2):  # a character between two stops is part of two matches
        dotted = pc.replace_substring_regex(dotted, r"(\p{Han})[.。](\p{Han})", r"\1·\2")
    return dotted


def _shanghai_days(values: pa.Array) -> pa.Array:
    """The Shanghai day of instants that carry an offset; others lose their time of day. Unreadable ones stay."""
    found = pc.match_substring_regex(values, r"[0-9](?:Z|[+-][0-9]{2}:?[0-9]{2})\z")
    dated = pc.replace_substring_regex(values, r"[ T][0-9]{1,2}:[0-9]{2}(?::[0-9]{2}(?:\.[0-9]+)?)?\z", "")

    def rewrite(some: pa.Array) -> pa.Array:
        instants = pd.to_datetime(pd.Series(some.to_pylist(), dtype=TEXT), utc=True, errors="coerce", format="ISO8601")
        days = instants.dt.tz_convert("Asia/Shanghai").dt.strftime("%Y-%m-%d")
        return pa.array([day if isinstance(day, str) else old for day, old in zip(days, some.to_pylist(), strict=True)])

    return _rewritten(dated, found, rewrite)


def _date(values: pa.Array) -> pa.Array:
    """1960/1/5, 1960.1.5, 19600105, 1960年1月5日, each with or without a time of day, as 1960-01-05."""
    found = pc.invert(pc.match_substring_regex(values, r"\A(?:[0-9]{4}-[0-9]{2}-[0-9]{2})?\z"))

    def rewrite(some: pa.Array) -> pa.Array:
        some = _shanghai_days(some)
        some = pc.replace_substring_regex(some, r"\A([0-9]{4})([0-9]{2})([0-9]{2})\z", r"\1-\2-\3")
        parts = r"\A([0-9]{4})[-/.年]([0-9]{1,2})[-/.月]([0-9]{1,2})日?\z"
        some = pc.replace_substring_regex(some, parts, r"\1-\2-\3")
        some = pc.replace_substring_regex(some, r"\A([0-9]{4})-([0-9])-", r"\1-0\2-")
        return pc.replace_substring_regex(some, r"\A([0-9]{4}-[0-9]{2})-([0-9])\z", r"\1-0\2")

    return _rewritten(values, found, rewrite)


def _code(column: str) -> Step:
    codes = {label: code for code, labels in CODES[column].items() for label in labels}
    labels = pa.array(codes)

    def step(values: pa.Array) -> pa.Array:
        found = pc.is_in(values, value_set=labels.cast(values.type))
        return _rewritten(values, found, lambda some: pa.array([codes[label] for label in some.to_pylist()]))

    return step


EVERY: tuple[tuple[str, Step], ...] = (("full_width", _half_width), ("spaces", _trimmed))
_BARE: tuple[str, Step] = ("apostrophe", _number)
STEPS: dict[str, tuple[tuple[str, Step], ...]] = {
    "application_id": (_BARE,),
    "id_number": (_BARE, ("lower_case", _upper)),
    "guardian_id_number": (_BARE, ("lower_case", _upper)),
    "social_security_number": (_BARE, ("lower_case", _upper)),
    "region_code": (_BARE,),
    "postcode": (_BARE,),
    "outlet_code": (_BARE,),
    "employer_code": (_BARE,),
    "old_card_number": (_BARE,),
    "photo_sha256": (("lower_case", _lower),),
    "phone": (_BARE, ("phone_form", _phone)),
    "birth_date": (_BARE, ("date_form", _date)),
    "applied_at": (_BARE, ("date_form", _date)),
    "name": (("name_dot", _name),),
    "guardian_name": (("name_dot", _name),),
    **{column: (("code_label", _code(column)),) for column in CODES},
}


def normalise(frame: pd.DataFrame) -> tuple[pd.DataFrame, dict[str, int]]:
    """A frame of the contract's columns with harmless variants brought to one form, and how many values changed.

    Returns: the frame (other columns, index and row order untouched) and {kind of NOTES: changed values}.
    """
    notes: Counter[str] = Counter()
    changed: dict[str, pd.Series] = {}
    for column in NAMES:
        values = texts(frame[column])
        for kind, step in EVERY + STEPS.get(column, ()):
            after = step(values)
            if after is values or not (count := pc.sum(pc.not_equal(values, after)).as_py()):
                continue
            notes[kind] += count
            values = after
            changed[column] = pd.Series(after.to_pandas().array, index=frame.index, dtype=TEXT)
    return frame.assign(**changed), dict(notes)
