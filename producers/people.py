"""Synthetic retirees of Beijing, as rows of a cohort package.

Nobody real is meant: names are drawn from lists, phones use the unassigned prefixes 154 and 161, ID numbers are valid
by GB 11643 and otherwise made up. Everything is a function of the seed and the person's index, so a row can be made
again without its neighbours.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date

import numpy as np
from numpy.typing import NDArray

from issuance.intake.identifiers import check_characters

Ints = NDArray[np.int64]
Columns = dict[str, list[str]]
Row = dict[str, str]

SURNAMES = "王李张刘陈杨赵黄周吴徐孙胡朱高林何郭马罗梁宋郑谢韩唐冯于董萧程曹袁邓许傅沈曾彭吕苏卢蒋蔡贾丁魏薛叶阎"
GIVEN = "秀英桂兰淑珍玉华建国志明文德福海春梅凤云丽萍金荣宝成永利长青素琴红光平安庆祥学义振东立新卫民爱和月芳振"
RARE = "㼆㐱䶮龘犇赟昇堃喆翀𠮷𤧛𬭚𬎆𫖯𪨶"
DOTTED = ("阿依古丽·买买提", "艾力·吐尔逊", "古丽娜尔·阿不都", "巴图·额尔德尼")
BIRTHPLACES = [
    "110101",
    "110102",
    "110103",
    "110104",
    "110105",
    "110106",
    "110107",
    "110108",
    "110109",
    "110111",
    "110221",
    "110222",
    "110223",
    "110224",
    "110226",
    "110227",
    "110228",
    "110229",
    "120101",
    "130203",
    "210102",
    "310101",
    "370102",
    "440524",
]
"""First six digits of the numbers; 110103, 110104, the Beijing counties and 440524 are abolished, and valid."""
DISTRICTS = [
    "110101",
    "110102",
    "110105",
    "110106",
    "110107",
    "110108",
    "110109",
    "110111",
    "110112",
    "110113",
    "110114",
    "110115",
    "110116",
    "110117",
]
BEIJING = (
    ("北京市东城区", "100010"), ("北京市西城区", "100032"), ("北京市朝阳区", "100020"), ("北京市海淀区", "100080"),
)  # fmt: skip
ELSEWHERE = (
    ("河北省廊坊市", "065000"), ("海南省三亚市", "572000"), ("天津市和平区", "300040"), ("山东省威海市", "264200"),
)  # fmt: skip
STREETS = ("和平里", "幸福路", "建设街", "解放路", "长青园", "学院路", "光明里", "文化街")
ONLINE = ("hrss_web", "jingtong", "wechat", "minsheng", "national_app", "alipay", "city_app")
OWN_CHANNEL = {"outlet": "bank_outlet", "employer": "employer", "service_point": "service_point"}
CONSTANT = {"category": "retiree", "id_type": "resident_id", "proof_ref": ""}
METHODS = ("outlet",) * 60 + ("mail",) * 25 + ("service_point",) * 7 + ("employer",) * 5 + ("home_delivery",) * 3
KINDS = (("renewal", ""),) * 97 + (("replacement", "exempt"), ("replacement", "paid"), ("exchange", "paid"))
GENERATIONS = ("1",) * 10 + ("2",) * 85 + ("",) * 5
SEQUENCES = 499
HEADER = [
    "application_id",
    "applied_at",
    "channel",
    "category",
    "id_type",
    "id_number",
    "name",
    "sex",
    "birth_date",
    "phone",
    "region_code",
    "address",
    "postcode",
    "bank_code",
    "collection_method",
    "outlet_code",
    "employer_code",
    "kind",
    "fee_status",
    "old_card_generation",
    "proof_ref",
]


@dataclass(frozen=True)
class Cohort:
    """What every row is a function of, beside its index."""

    seed: int
    cards: int
    opens: date
    banks: tuple[str, ...]
    methods: tuple[str, ...] = METHODS
    """Ways to collect, each as often as it stands here."""
    kinds: tuple[tuple[str, str], ...] = KINDS
    """Kinds of applications and whether their fee is paid, likewise."""
    marked: bool = True
    """Whether some of the people have marked values, the same in every cohort."""

    def draw(self, step: str, index: Ints, sides: int) -> Ints:
        """A number below `sides` for each index: splitmix64 over seed, step and index (public domain, S. Vigna)."""
        salt = np.uint64(zlib.crc32(f"{self.seed}/{step}".encode()) << 32)
        x = (index.astype(np.uint64) + salt) * np.uint64(0x9E3779B97F4A7C15)
        x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return ((x ^ (x >> np.uint64(31))) % np.uint64(sides)).astype(np.int64)

    def walk(self, step: str, index: Ints, size: int) -> Ints:
        """Distinct numbers below `size` for distinct indexes below `size`: an affine walk through all of them."""
        start, stride = (int(self.draw(f"{step}/{part}", np.array([0]), size)[0]) for part in ("start", "stride"))
        while math.gcd(stride, size) != 1:
            stride += 1
        return (index * stride + start) % size

    def pick(self, step: str, index: Ints, choices: tuple[str, ...] | list[str] | str) -> list[str]:
        """One of the choices for each index."""
        return [choices[number] for number in self.draw(step, index, len(choices)).tolist()]


def id_numbers(places: list[str], born: list[str], sequences: list[int]) -> list[str]:
    """18-character numbers of places (6 digits), days (YYYY-MM-DD) and sequences (1-999)."""
    bodies = [f"{p}{b[:4]}{b[5:7]}{b[8:]}{s:03d}" for p, b, s in zip(places, born, sequences, strict=True)]
    digits = np.frombuffer("".join(bodies).encode(), dtype=np.uint8).reshape(-1, 17) - 48
    return [body + chr(check) for body, check in zip(bodies, check_characters(digits).tolist(), strict=True)]


def _identities(cohort: Cohort, index: Ints) -> Columns:
    """Number, sex and birth date: men of 58 and women of 48 years and more, all numbers distinct."""
    first = np.datetime64("1935-01-01", "D")
    year = cohort.opens.year
    men = int((np.datetime64(f"{year - 58}-01-01", "D") - first).astype(np.int64))
    women = int((np.datetime64(f"{year - 48}-01-01", "D") - first).astype(np.int64))
    rest = cohort.walk("identity", index, (men + women) * len(BIRTHPLACES) * SEQUENCES)
    rest, sequence = np.divmod(rest, SEQUENCES)
    day, place = np.divmod(rest, len(BIRTHPLACES))
    male = day < men
    born = np.datetime_as_string(first + np.where(male, day, day - men)).tolist()
    sequences = (2 * sequence + np.where(male, 1, 2)).tolist()
    return {
        "id_number": id_numbers([BIRTHPLACES[number] for number in place.tolist()], born, sequences),
        "sex": ["male" if yes else "female" for yes in male.tolist()],
        "birth_date": born,
    }


def _names(cohort: Cohort, index: Ints) -> list[str]:
    """Two or three characters, one in a hundred with a rare one, one in two hundred with a dot."""
    parts = zip(*(cohort.pick(step, index, chars) for step, chars in _NAME_PARTS), strict=True)
    special = cohort.draw("name", index, 200).tolist()
    dotted = cohort.pick("dotted", index, DOTTED)
    return [
        dotted[row] if kind == 0 else a + (r if kind < 3 else b) + (c if kind % 4 else "")
        for row, (kind, (a, b, c, r)) in enumerate(zip(special, parts, strict=True))
    ]


_NAME_PARTS = (("surname", SURNAMES), ("given", GIVEN), ("given2", GIVEN), ("rare", RARE))


def _addresses(cohort: Cohort, index: Ints, methods: list[str]) -> tuple[list[str], list[str]]:
    """Address and postcode of rows delivered to an address; mail goes to another city for three in ten."""
    away, house = cohort.draw("away", index, 10).tolist(), cohort.draw("house", index, 600).tolist()
    street, town = cohort.pick("street", index, STREETS), cohort.draw("town", index, 4).tolist()
    addresses, postcodes = [""] * len(methods), [""] * len(methods)
    for row, method in enumerate(methods):
        if method in ("mail", "home_delivery"):
            place, postcodes[row] = (ELSEWHERE if away[row] < 3 and method == "mail" else BEIJING)[town[row]]
            # quoted fields may hold commas and line breaks
            gap = ",\n" if house[row] < 6 else "," if house[row] < 60 else ""
            addresses[row] = f"{place}{street[row]}{house[row] + 1}号{gap}{house[row] % 20 + 1}单元{town[row] + 1}01室"
    return addresses, postcodes


def people(cohort: Cohort, index: Ints) -> Columns:
    """Valid rows of the given indexes, in the contract's plain forms."""
    methods = cohort.pick("method", index, cohort.methods)
    banks = cohort.pick("bank", index, cohort.banks)
    places = list(zip(banks, (cohort.draw("outlet", index, 200) + 1).tolist(), methods, strict=True))
    addresses, postcodes = _addresses(cohort, index, methods)
    kinds = [cohort.kinds[number] for number in cohort.draw("kind", index, len(cohort.kinds)).tolist()]
    applied = np.datetime64(cohort.opens, "D") - 1 - cohort.draw("applied", index, 20)
    return {
        **_identities(cohort, index),
        **{column: [value] * len(index) for column, value in CONSTANT.items()},
        "application_id": [f"A{cohort.seed}-{number}" for number in index.tolist()],
        "applied_at": np.datetime_as_string(applied).tolist(),
        "channel": [
            OWN_CHANNEL.get(method, way)
            for method, way in zip(methods, cohort.pick("channel", index, ONLINE), strict=True)
        ],
        "name": _names(cohort, index),
        "phone": [f"154{number:08d}" for number in cohort.walk("phone", index, 10**8).tolist()],
        "region_code": cohort.pick("region", index, DISTRICTS),
        "address": addresses,
        "postcode": postcodes,
        "bank_code": banks,
        "collection_method": methods,
        "outlet_code": [f"{bank}-{n:04d}" if way == "outlet" else "" for bank, n, way in places],
        "employer_code": [f"E{n:06d}" if way == "employer" else "" for _, n, way in places],
        "kind": [kind for kind, _ in kinds],
        "fee_status": [fee for _, fee in kinds],
        "old_card_generation": cohort.pick("generation", index, GENERATIONS),
    }


def _wide(text: str) -> str:
    return "".join(chr(ord(char) + 0xFEE0) for char in text)


def _date(form: str) -> Callable[[str], str]:
    return lambda text: form.format(int(text[:4]), int(text[5:7]), int(text[8:]))


VARIANTS: tuple[tuple[str, Callable[[str], str]], ...] = (
    # harmless forms that normalising must undo; twelve rows in a hundred have one
    ("id_number", _wide),
    ("id_number", str.lower),
    ("phone", lambda text: f"+86 {text}"),
    ("phone", lambda text: f"{text[:3]}-{text[3:7]}-{text[7:]}"),
    ("phone", _wide),
    ("name", lambda text: f" {text}　"),
    ("name", lambda text: text.replace("·", "•")),
    ("birth_date", _date("{}/{}/{}")),
    ("birth_date", _date("{}{:02}{:02}")),
    ("birth_date", _date("{}年{}月{}日")),
    ("applied_at", _date("{}/{:02}/{:02}")),
    ("postcode", lambda text: f"{text} "),
)


def good_rows(cohort: Cohort, first: int, last: int) -> list[tuple[str, ...]]:
    """The rows of the good people first … last-1, canaries and harmless variants among them."""
    index = np.arange(first, last, dtype=np.int64)
    columns = people(cohort, index)
    variants = cohort.draw("variant", index, 100)
    for row in np.flatnonzero(variants < len(VARIANTS)).tolist():
        column, change = VARIANTS[int(variants[row])]
        columns[column][row] = change(columns[column][row])
    for number, place in enumerate(canary_indexes(cohort)):
        if first <= place < last:
            for column, value in canary(cohort, number).items():
                columns[column][place - first] = value
    return list(zip(*(columns[column] for column in HEADER), strict=True))


def canary_indexes(cohort: Cohort) -> list[int]:
    """The good people with marked values: four, or all of a smaller cohort; none where nobody is marked."""
    count = min(4, cohort.cards) if cohort.marked else 0
    return [number * cohort.cards // count for number in range(count)]


def canary(cohort: Cohort, number: int) -> Row:
    """Marked values of one person, to search for in everything that was written; sequence 999 is nobody else's."""
    born = f"1931-02-{number + 1:02d}"
    return {
        "id_number": id_numbers(["110103"], [born], [999])[0],
        "birth_date": born,
        "sex": "male",
        "name": f"金丝雀{'甲乙丙丁戊'[number]}𠮷",
        "phone": f"1610{cohort.seed % 10**6:06d}{number}",
        "collection_method": "mail",
        "outlet_code": "",
        "employer_code": "",
        "address": f"北京市西城区金丝雀胡同{number + 1}号CANARY{cohort.seed}X{number}",
        "postcode": "100032",
    }
