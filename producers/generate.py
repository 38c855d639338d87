"""A synthetic cohort with known defects: applications.csv, and beside it truth.json and canaries.json.

truth.json names what was planted: `{"seed", "cards", "rows", "planted": {rule: n}, "defects": [{"file", "line",
"rule"}]}`, lines physical with the header as 1, in file order. `rows` is the count to declare. Defect rows come on top
of `cards` good ones, so a clean intake accepts exactly `cards`. A million rows stream through chunks of `CHUNK`.
"""

from __future__ import annotations

import argparse
import csv
import json
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date
from itertools import count
from pathlib import Path

import numpy as np

from issuance.city.partners import Registry, load_registry
from issuance.settings import ROOT
from producers.people import (
    HEADER,
    KINDS,
    METHODS,
    Cohort,
    Ints,
    Row,
    canary,
    canary_indexes,
    good_rows,
    id_numbers,
    people,
)

FILE = "applications.csv"
CHUNK = 20_000
GOOD_PER_DEFECT = 100
"""About 1 % of defects, so that a demo stays below the policy's warning ratio."""


@dataclass(frozen=True)
class Generated:
    """What was written; `rows` is the count to declare, `planted` counts the defects of truth.json by rule."""

    directory: Path
    applications: Path
    truth: Path
    canaries: Path
    cards: int
    rows: int
    planted: dict[str, int]


@dataclass(frozen=True)
class Extra:
    """A row on top of the good ones: its expected reason, and for a duplicate the good row that it repeats."""

    rule: str
    row: tuple[str, ...]
    repeats: int | None = None


def _put(**values: str) -> Callable[[Row], None]:
    return lambda row: row.update(values)


def _wrong_check_digit(row: Row) -> None:
    other = "0" if row["id_number"].endswith("X") else "X"
    # a number that ends in 000 would be one that Excel has cut
    row["id_number"] = row["id_number"][:-1] + ("1" if (row["id_number"][-3:-1], other) == ("00", "0") else other)


def _other_sex(row: Row) -> None:
    row["sex"] = "female" if row["sex"] == "male" else "male"


def _other_birth_date(row: Row) -> None:
    row["birth_date"] = "1951-02-03" if row["birth_date"] != "1951-02-03" else "1951-02-04"


def _no_such_day(row: Row) -> None:
    row["id_number"] = id_numbers([row["id_number"][:6]], ["1950-02-30"], [int(row["id_number"][14:17])])[0]


def _old_number(row: Row) -> None:
    row["id_number"] = row["id_number"][:6] + row["id_number"][8:17]


def _too_young(row: Row) -> None:
    row["birth_date"] = f"1990{row['birth_date'][4:8]}28"
    row["id_number"] = id_numbers([row["id_number"][:6]], [row["birth_date"]], [int(row["id_number"][14:17])])[0]


def _number_inside(row: Row) -> None:
    row["application_id"] = f"{row['application_id']}.{row['id_number']}"


def _collect(method: str, **values: str) -> Callable[[Row], None]:
    empty = {"outlet_code": "", "employer_code": "", "address": "", "postcode": ""}
    return lambda row: row.update({"collection_method": method} | empty | values)


DEFECTS: tuple[tuple[str, Callable[[Row], None]], ...] = (
    # the expected reason code of a row, and the change that causes it; nothing else may be wrong with it
    ("ID_CHECK_DIGIT", _wrong_check_digit),
    ("SEX_DIFFERS", _other_sex),
    ("REQUIRED_PHONE", _put(phone="")),
    ("PHONE_SHAPE", _put(phone="010-6512345")),
    ("BANK_UNKNOWN", lambda row: _collect("service_point", bank_code="XBANK")(row)),
    ("REQUIRED_ADDRESS", _collect("mail", postcode="100020")),
    ("RETIREMENT_TOO_EARLY", _too_young),
    ("APPLICATION_ID_PERSONAL", _number_inside),
    ("BIRTH_DATE_DIFFERS", _other_birth_date),
    ("ID_OLD_15", _old_number),
    ("ID_BIRTH_DATE", _no_such_day),
    ("NAME_SHAPE", _put(name="王?明")),
    ("LEADING_ZERO_LOST", _collect("mail", address="北京市海淀区学院路1号", postcode="10008")),
    ("REQUIRED_OUTLET_CODE", _collect("outlet")),
    ("OUTLET_OTHER_BANK", _collect("outlet", outlet_code="OTHER-0001")),
    ("REQUIRED_EMPLOYER_CODE", _collect("employer")),
    ("CODE_COLLECTION_METHOD", _collect("pigeon")),
    ("REGION_CODE_UNKNOWN", _put(region_code="990101")),
    ("APPLIED_AT_FUTURE", _put(applied_at="2999-01-01")),
    ("BIRTH_DATE_INVALID", _put(birth_date="1950-02-30")),
    ("REQUIRED_FEE_STATUS", _put(kind="replacement", fee_status="")),
    ("NUMBER_DAMAGED", _put(id_number="1.10105E+17")),
)
DUPLICATE, REUSED = "DUPLICATE_PERSON", "APPLICATION_ID_REUSED"
ROUND = (DUPLICATE, *(rule for rule, _ in DEFECTS[:2]), REUSED, *(rule for rule, _ in DEFECTS[2:]))
"""The order in which kinds are planted, over and over; the smallest cohort has a duplicate: no row is quarantined."""


def _extras(cohort: Cohort) -> list[Extra]:
    """The rows on top, as many as GOOD_PER_DEFECT says and at least one; reused ids come in pairs."""
    wanted = max(1, cohort.cards // GOOD_PER_DEFECT)
    fresh = _fresh_rows(cohort)
    makers = dict(DEFECTS)
    extras: list[Extra] = []
    for turn in count():
        if len(extras) == wanted:
            break
        # a pair of reused ids needs two places, so the last one is a duplicate's
        rule = ROUND[turn % len(ROUND)] if len(extras) + 1 < wanted else DUPLICATE
        if rule == DUPLICATE:
            original = int(cohort.draw("duplicate", np.array([turn]), cohort.cards)[0])
            extras.append(Extra(rule, _again(cohort, original, turn), original))
        elif rule == REUSED:
            pair = [next(fresh) | {"application_id": f"A{cohort.seed}-R{turn}"} for _ in range(2)]
            extras += [Extra(rule, _tuple(row)) for row in pair]
        else:
            row = next(fresh)
            if turn < len(ROUND) and rule == "ID_CHECK_DIGIT" and cohort.marked:
                row |= canary(cohort, 4)
            makers[rule](row)
            extras.append(Extra(rule, _tuple(row)))
    return extras


def _fresh_rows(cohort: Cohort) -> Iterator[Row]:
    """Valid rows of people beyond the good ones."""
    first = cohort.cards
    while True:
        columns = people(cohort, np.arange(first, first + 1000, dtype=np.int64))
        for values in zip(*columns.values(), strict=True):
            yield dict(zip(columns, values, strict=True))
        first += 1000


def _again(cohort: Cohort, index: int, turn: int) -> tuple[str, ...]:
    """The good row of a person once more, under another application_id."""
    row = dict(zip(HEADER, good_rows(cohort, index, index + 1)[0], strict=True))
    return _tuple(row | {"application_id": f"A{cohort.seed}-D{turn}"})


def _tuple(row: Row) -> tuple[str, ...]:
    return tuple(row[column] for column in HEADER)


def generate_cohort(
    directory: Path, cards: int, seed: int, opens: date, registry: Registry, methods: tuple[str, ...] = METHODS,
    marked: bool = True, kinds: tuple[tuple[str, str], ...] = KINDS,
) -> Generated:  # fmt: skip
    """Write applications.csv (UTF-8), truth.json and canaries.json for `cards` good, distinct people and defects.

    The application days end before `opens` (Asia/Shanghai), the cohort's opening day. Equal arguments give equal bytes.

    Raises:
        ValueError: cards is below 1.
    """
    if cards < 1:
        raise ValueError("a cohort has at least one card")
    directory.mkdir(parents=True, exist_ok=True)
    banks = tuple(bank.id for bank in registry.of_kind("bank"))
    cohort = Cohort(seed, cards, opens, banks, methods, kinds, marked)
    extras = _extras(cohort)
    rows = cards + len(extras)
    rng = np.random.default_rng(seed)
    rng.shuffle(extras)
    places = np.sort(rng.choice(rows, len(extras), replace=False)).astype(np.int64)
    lines = _write_rows(directory / FILE, cohort, extras, places)
    defects = _truth(extras, places, lines)
    planted = dict(sorted(Counter(str(defect["rule"]) for defect in defects).items()))
    truth = {"seed": seed, "cards": cards, "rows": rows, "planted": planted, "defects": defects}
    _write_json(directory / "truth.json", truth)
    _write_json(directory / "canaries.json", _canaries(cohort, extras))
    return Generated(
        directory, directory / FILE, directory / "truth.json", directory / "canaries.json", cards, rows, planted
    )


def _write_json(path: Path, value: object) -> None:
    path.write_text(json.dumps(value, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")


def _place_of_good(index: int, places: Ints) -> int:
    """The 0-based row of a good person when the extras stand at the ascending `places`."""
    return index + int(np.searchsorted(places - np.arange(len(places)), index, side="right"))


def _write_rows(path: Path, cohort: Cohort, extras: list[Extra], places: Ints) -> dict[int, int]:
    """Write the file in chunks; the physical line of each extra and of each good row that one repeats, by place."""
    originals = [_place_of_good(extra.repeats, places) for extra in extras if extra.repeats is not None]
    watched = np.unique(np.concatenate([places, np.array(originals, dtype=np.int64)]))
    found: dict[int, int] = {}
    line, total = 2, cohort.cards + len(extras)
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(HEADER)
        for begin in range(0, total, CHUNK):
            end = min(begin + CHUNK, total)
            rows = _chunk(cohort, extras, places, begin, end)
            writer.writerows(rows)
            ends = line + np.cumsum([1 + row[_ADDRESS].count("\n") for row in rows])
            starts = np.concatenate([[line], ends[:-1]])
            inside = watched[(watched >= begin) & (watched < end)]
            found.update(zip(inside.tolist(), starts[inside - begin].tolist(), strict=True))
            line = int(ends[-1])
    return found


_ADDRESS = HEADER.index("address")


def _chunk(cohort: Cohort, extras: list[Extra], places: Ints, begin: int, end: int) -> list[tuple[str, ...]]:
    """The rows at places begin … end-1: good ones in their order, extras at theirs."""
    first, last = np.searchsorted(places, [begin, end]).tolist()
    rows = good_rows(cohort, begin - first, end - last)
    for extra, place in zip(extras[first:last], places[first:last].tolist(), strict=True):
        rows.insert(place - begin, extra.row)
    return rows


def _truth(extras: list[Extra], places: Ints, lines: dict[int, int]) -> list[dict[str, str | int]]:
    """Every planted line and its reason. Of a person's rows the lowest line is accepted, so the others are named."""
    found: list[tuple[int, str]] = []
    persons: dict[int, list[int]] = {}
    for extra, place in zip(extras, places.tolist(), strict=True):
        if extra.repeats is None:
            found.append((lines[place], extra.rule))
        else:
            first = lines[_place_of_good(extra.repeats, places)]
            persons.setdefault(extra.repeats, [first]).append(lines[place])
    found += [(line, DUPLICATE) for group in persons.values() for line in sorted(group)[1:]]
    return [{"file": FILE, "line": line, "rule": rule} for line, rule in sorted(found)]


def _canaries(cohort: Cohort, extras: list[Extra]) -> list[Row]:
    """The marked values: good people's, and those of the quarantined row if there is one."""
    marked = [canary(cohort, number) for number in range(len(canary_indexes(cohort)))]
    rows = [dict(zip(HEADER, extra.row, strict=True)) for extra in extras if extra.rule == "ID_CHECK_DIGIT"]
    marked += [row for row in rows if row["name"] == canary(cohort, 4)["name"]]
    return [{column: row[column] for column in ("name", "id_number", "phone", "address")} for row in marked]


def main() -> None:
    """`python -m producers.generate DIRECTORY --cards N --seed S --opens DAY`."""
    parser = argparse.ArgumentParser(prog="issuance generate", description=main.__doc__)
    parser.add_argument("directory", type=Path)
    parser.add_argument("--cards", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--opens", type=date.fromisoformat, default=date(2025, 10, 9))
    parser.add_argument(
        "--method", action="append", choices=sorted(set(METHODS)), help="ways to collect, by default all"
    )
    parser.add_argument("--kind", action="append", metavar="KIND[/FEE]", help="kinds of applications, by default a mix")
    parser.add_argument("--unmarked", action="store_true", help="without the marked people that every cohort has")
    given = parser.parse_args()
    given.directory.mkdir(parents=True, exist_ok=True)
    registry = load_registry(ROOT / "policies" / "partners.demo.yaml")
    methods = tuple(given.method or METHODS)
    kinds = tuple((kind, fee) for kind, _, fee in (word.partition("/") for word in given.kind or ())) or KINDS
    made = generate_cohort(
        given.directory, given.cards, given.seed, given.opens, registry, methods, not given.unmarked, kinds
    )
    print(f"{made.rows} rows in {made.applications}: submit them with --declared {made.rows}")


if __name__ == "__main__":
    main()
