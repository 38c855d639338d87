"""Seeded histories of cards: what truly happens to each plastic, what is told of it and when, the real `decide`.

The truth knows where every plastic is and who holds it. Reports of it come late, out of order, twice, or never;
partners answer what the ledger asks, or never do; a person waives what nobody answers, and lets brakes go.
`History.harm` says what must not be.
"""

from __future__ import annotations

import heapq
import random
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from findings_fixture import HOLDER, event_value, tell
from ledger_fixture import OPENS, decide_all, item, make_cohort, merge, on, report

from issuance.ledger.connection import Connection, set_business_day
from issuance.tracking.brakes import decide_brake
from issuance.tracking.waiving import waive_request

WITNESSES = [{"role": "WITNESS", "reference": "w1"}, {"role": "WITNESS", "reference": "w2"}]
PATIENCE = 60
"""Days after which a person waives a request that nobody answers."""
Key = tuple[UUID, int]


@dataclass
class Plastic:
    """One plastic as it truly is."""

    key: Key
    where: str = "factory"
    """factory, way, carrier, outlet, holder, lost, gone (destroyed or never made)."""
    made: bool = False
    stopped: bool = False
    taken_on: int | None = None
    active: bool = False
    ss_cancelled_on: int | None = None
    account_cancelled: bool = False
    trip: int = 0


@dataclass
class History:
    """Cards of one ledger of their own, committed day by day, and their truth; days count from the opening day."""

    connection: Connection
    seed: int
    cards: int
    method: str = "outlet"
    plastics: dict[Key, Plastic] = field(default_factory=dict)
    living: dict[UUID, bool] = field(default_factory=dict)
    wanted: dict[UUID, bool] = field(default_factory=dict)
    mistaken: set[UUID] = field(default_factory=set)
    """Living holders of whom a death was told: what partners cancel by then is no fault of the ledger's."""
    harm: list[str] = field(default_factory=list)
    story: dict[UUID, list[str]] = field(default_factory=lambda: defaultdict(list))
    _todo: list[tuple[int, int, Callable[[int], None]]] = field(default_factory=list)
    _told: dict[int, list[tuple[str, dict[str, Any], tuple[tuple[str, Any], ...]]]] = field(
        default_factory=lambda: defaultdict(list)
    )
    _asked: set[tuple[Any, ...]] = field(default_factory=set)
    _number: int = 0

    def run(self, days: int) -> None:
        """Live until a day, or until nothing is left to happen."""
        self._random = random.Random(self.seed)
        for ref in make_cohort(self.connection, self.cards, self.method):
            self.living[ref] = self.wanted[ref] = True
            self._order(Plastic((ref, 1)), 0)
            if self._chance(0.04):
                self._at(self._days(1, 60), lambda day, ref=ref: self._event(ref, "DEATH", day))
            if self._chance(0.04):
                self._at(self._days(1, 60), lambda day, ref=ref: self._event(ref, "WITHDRAWN", day))
            if self._chance(0.1):
                self._at(self._days(1, 60), lambda day, ref=ref: self._mistake(ref, day))
        self.connection.execute("INSERT INTO tally SELECT cohort_no, state, count(*) FROM card GROUP BY 1, 2")
        day: int | None = 1
        while day is not None and day < days:
            self._live(day)
            day = self._next(day)

    def _live(self, day: int) -> None:
        while self._todo and self._todo[0][0] <= day:
            _, _, step = heapq.heappop(self._todo)
            step(day)
        set_business_day(self.connection, on(day))
        for again in (False, True):
            self._send(day, again)
            decide_all(self.connection)
            self._order_remakes(day)
            self._answer_requests(day)
            self._act_as_person(day)
        decide_all(self.connection)
        self.connection.commit()  # what was deleted is swept away only then, and queues stay short

    def _next(self, day: int) -> int | None:
        (clock,) = self.connection.execute(
            "SELECT min(next_due) FROM card WHERE next_due > %s", (on(day),)
        ).fetchone() or (None,)
        due = [entry[0] for entry in self._todo[:1]] + [arrival for arrival in self._told if arrival > day]
        (asked,) = self.connection.execute(
            "SELECT min(asked_on) FROM request WHERE ended_on IS NULL AND kind <> 'HOLD'"
        ).fetchone() or (None,)
        due += [(day - OPENS).days for day in (clock,) if day is not None]
        due += [(day - OPENS).days + PATIENCE + 1 for day in (asked,) if day is not None]
        return min((one for one in due if one > day), default=None)

    # What truly happens

    def _order(self, plastic: Plastic, day: int) -> None:
        self.plastics[plastic.key] = plastic
        self._at(day + self._days(1, 3), lambda day: self._accept(plastic, day))

    def _accept(self, plastic: Plastic, day: int) -> None:
        if plastic.stopped:
            self._end(plastic)
            self._say(self._factory(plastic), day, plastic, "ITEM_REFUSED", reason="CANCELLED")
        elif self._chance(0.04):
            self._end(plastic)
            self._say(self._factory(plastic), day, plastic, "ITEM_REFUSED", reason="PHOTO_UNUSABLE")
        else:
            self._say(self._factory(plastic), day, plastic, "ITEM_ACCEPTED")
            self._at(day + self._days(1, 4), lambda day: self._make(plastic, day))

    def _make(self, plastic: Plastic, day: int) -> None:
        if self._chance(0.05):
            self._end(plastic)
            self._say(self._factory(plastic), day, plastic, "SPOILED", reason="CHIP_FAULT")
            return
        plastic.made = True
        self._tell_story(plastic, day, "made")
        self._say(self._factory(plastic), day, plastic, "MADE")
        self._say(self._factory(plastic), day, plastic, "BANK_KEYED")
        self._say("HRSS-BJ", day, plastic, "SS_KEYED")
        self._at(day + 1, lambda day: self._hand_over(plastic, day))

    def _hand_over(self, plastic: Plastic, day: int) -> None:
        if plastic.stopped or plastic.where != "factory":
            return
        plastic.trip += 1
        if self.method == "mail":
            number = self._letter(plastic)
            plastic.where = "carrier"
            self._say(self._factory(plastic), day, plastic, "HANDED_OVER", tracking_no=number, to_place="EMS",
                      handover_count=1)  # fmt: skip
            self._mail(day + 1, "POSTED", number)
            self._travel(plastic, number, day + 1)
        else:
            head = {"handover_id": f"H{plastic.key[0]}.{plastic.key[1]}.{plastic.trip}", "handover_count": 1,
                    "to_place": "ICBC-001"}  # fmt: skip
            plastic.where = "way"
            self._say(self._factory(plastic), day, plastic, "HANDED_OVER", **head)
            late = self._days(15, 40) if self._chance(0.1) else 1
            self._at(day + late, lambda day: self._arrive(plastic, day, head))

    def _travel(self, plastic: Plastic, number: str, day: int) -> None:
        fate = self._random.random()
        if fate < 0.05:
            self._at(day + self._days(5, 12), lambda day: self._lose(plastic, day, number))
        elif fate < 0.12:  # without any news for weeks, and then it is there
            self._at(day + self._days(16, 40), lambda day: self._deliver(plastic, day, number))
        elif fate < 0.2 and plastic.trip < 3:
            self._at(day + self._days(4, 9), lambda day: self._return(plastic, day, number))
        else:
            self._mail(day + 1, "IN_TRANSIT", number)
            self._at(day + self._days(2, 6), lambda day: self._deliver(plastic, day, number))

    def _lose(self, plastic: Plastic, day: int, number: str) -> None:
        self._mail(day, "LOST", number)
        self._tell_story(plastic, day, "the carrier says it is lost")
        if self._chance(0.5):
            self._at(day + self._days(1, 30), lambda day: self._deliver(plastic, day, number))

    def _return(self, plastic: Plastic, day: int, number: str) -> None:
        plastic.where = "factory"
        self._mail(day, "RETURNED", number, reason="MOVED")

    def _deliver(self, plastic: Plastic, day: int, number: str) -> None:
        if plastic.where != "carrier":
            return
        self._mail(day, "DELIVERED", number)
        self._take(plastic, day)

    def _arrive(self, plastic: Plastic, day: int, head: dict[str, Any]) -> None:
        if plastic.where != "way":
            return
        plastic.where = "outlet"
        self._say("ICBC", day, plastic, "RECEIVED_AT_PLACE", **head)
        if self._chance(0.9):
            self._at(day + self._days(1, 50), lambda day: self._collect(plastic, day))

    def _collect(self, plastic: Plastic, day: int) -> None:
        if plastic.where != "outlet" or not self.living[plastic.key[0]] or self._has_one(plastic):
            return
        if self._chance(0.04):
            self._say("ICBC", day, plastic, "REFUSED_BY_HOLDER", reason="NAME_WRONG")
            return
        self._say("ICBC", day, plastic, "COLLECTED", place="ICBC-001", actors=HOLDER)
        self._take(plastic, day)

    def _take(self, plastic: Plastic, day: int) -> None:
        plastic.where, plastic.taken_on = "holder", day
        self._tell_story(plastic, day, "in its holder's hands")
        self._at(day + self._days(1, 5), lambda day: self._activate(plastic, day))

    def _activate(self, plastic: Plastic, day: int) -> None:
        if plastic.ss_cancelled_on is None and plastic.where == "holder":
            plastic.active = True
            self._say("HRSS-BJ", day, plastic, "SS_ACTIVATED")

    def _has_one(self, plastic: Plastic) -> bool:
        """Whether the holder has a live plastic already, and asks for no other."""
        return any(
            other.where == "holder" and other.ss_cancelled_on is None
            for key, other in self.plastics.items() if key[0] == plastic.key[0] and other is not plastic
        )  # fmt: skip

    def _event(self, ref: UUID, event: str, day: int) -> None:
        value = event_value("MSB", f"{event}{ref}", event, ref)
        assert tell(self.connection, value, day)[0] is None
        self.wanted[ref] = False
        if event == "DEATH":
            self.living[ref] = False
        self.story[ref].append(f"day {day}: {event}")

    def _mistake(self, ref: UUID, day: int) -> None:
        """A death is told that is none, and taken back some days later."""
        self.mistaken.add(ref)
        assert tell(self.connection, event_value("MSB", f"MISTAKE{ref}", "DEATH", ref), day)[0] is None
        self.story[ref].append(f"day {day}: DEATH, by mistake")
        self._at(day + self._days(1, 20), lambda day: self._take_back(ref, day))

    def _take_back(self, ref: UUID, day: int) -> None:
        named = {"annuls_source": "MSB", "annuls_event_id": f"MISTAKE{ref}"}
        value = event_value("MSB", f"BACK{ref}", "ANNULLED", ref, **named)
        assert tell(self.connection, value, day)[0] is None
        self.story[ref].append(f"day {day}: ANNULLED")

    def _end(self, plastic: Plastic) -> None:
        plastic.where = "gone"

    # What is told of it

    def _say(self, partner: str, day: int, plastic: Plastic, milestone: str, **values: Any) -> None:
        ref, attempt = plastic.key
        head = {name: values.pop(name) for name in ("handover_id", "handover_count", "to_place") if name in values}
        self._post(partner, day, item(milestone, ref, day, attempt=attempt, **values), head)

    def _mail(self, day: int, milestone: str, number: str, **values: Any) -> None:
        self._post("EMS", day, item(milestone, None, day, tracking_no=number, **values), {})

    def _post(self, partner: str, day: int, said: dict[str, Any], head: dict[str, Any]) -> None:
        """It arrives late, some of it very late, some of it twice."""
        delay = self._days(5, 40) if self._chance(0.06) else self._days(0, 2)
        times = 2 if self._chance(0.1) else 1
        for n in range(times):
            self._told[day + delay + n * self._days(0, 20)].append((partner, said, tuple(sorted(head.items()))))

    def _send(self, day: int, again: bool) -> None:
        """What has arrived by a day, in an order of its own."""
        arrived = [one for due in sorted(due for due in self._told if due <= day) for one in self._told.pop(due)]
        self._random.shuffle(arrived)
        groups: dict[tuple[str, tuple[tuple[str, Any], ...]], list[dict[str, Any]]] = defaultdict(list)
        for partner, said, head in arrived:
            groups[partner, head].append(said)
        for (partner, head), items in groups.items():
            self._number += 1
            merged = merge(self.connection, report(partner, f"r{self._number}", items, **dict(head)), day=day)
            assert not merged.refused or not any(merged.refused.values()), merged.refused

    # What the ledger makes of it

    def _order_remakes(self, day: int) -> None:
        """Every plastic without a job is ordered, as a re-make job is."""
        rows = self.connection.execute(
            "SELECT p.card_ref, p.attempt, p.bank, p.factory FROM plastic p JOIN card c USING (card_ref)"
            " WHERE p.job_id IS NULL AND p.attempt > 1 AND c.withdrawn IS NULL AND c.effective = p.attempt"
            " ORDER BY 1, 2"
        ).fetchall()
        for ref, attempt, bank, factory in rows:
            self._number += 1
            job = f"R{self._number}"
            self.connection.execute(
                "INSERT INTO job (job_id, cohort_no, wave, bank, factory, due_on, start_on, card_count, hash_total,"
                " remake) VALUES (%s, 1, 1, %s, %s, %s, %s, 1, hash_total(%s), true)",
                (job, bank, factory, on(day + 30), on(day), [ref]),
            )
            self.connection.execute("INSERT INTO job_item VALUES (%s, 0, %s, %s)", (job, ref, attempt))
            self.connection.execute(
                "UPDATE plastic SET job_id = %s WHERE (card_ref, attempt) = (%s, %s)", (job, ref, attempt)
            )
            self.connection.execute(
                "INSERT INTO sealed_job (job_id, cohort_no, wave, object, sha256, key_id, algorithm, sealed_on,"
                " sent_on) VALUES (%s, 1, 1, 'o', repeat('0', 64), %s, 'RSA-OAEP-256', %s, %s)",
                (job, factory, on(day), on(day)),
            )
            self.connection.execute("INSERT INTO changed_card VALUES (%s)", (ref,))
            self._order(Plastic((ref, attempt)), day)
            self.story[ref].append(f"day {day}: plastic {attempt} is ordered")

    def _answer_requests(self, day: int) -> None:
        rows = self.connection.execute("SELECT card_ref, attempt, kind, n, reason FROM request ORDER BY 1, 2, 3, 4")
        for ref, attempt, kind, n, reason in rows.fetchall():
            if (ref, attempt, kind, n) not in self._asked:
                self._asked.add((ref, attempt, kind, n))
                self.story[ref].append(f"day {day}: {kind} of plastic {attempt} is asked ({reason})")
                if kind == "HOLD" or self._chance(0.05):
                    continue  # nobody answers
                asked = (ref, attempt, kind, n)
                self._at(day + self._days(1, 6), lambda day, asked=asked: self._do(asked, day))

    def _do(self, asked: tuple[UUID, int, str, int], day: int) -> None:
        """Do what was asked; some do it although it was withdrawn meanwhile, which is no fault of the ledger's."""
        (ending,) = self.connection.execute(
            "SELECT ending FROM request WHERE (card_ref, attempt, kind, n) = (%s, %s, %s, %s)", asked
        ).fetchone() or (None,)
        if ending == "void" and not self._chance(0.3):
            return
        ref, attempt, kind, _ = asked
        plastic = self.plastics[ref, attempt]
        if ending != "void":
            self._judge(kind, plastic, day)
        if kind == "CANCEL":
            plastic.stopped = True
        elif kind == "CANCEL_SS" and plastic.ss_cancelled_on is None:
            plastic.ss_cancelled_on, plastic.active = day, False
            self._say("HRSS-BJ", day, plastic, "SS_CANCELLED")
        elif kind == "CANCEL_ACCOUNT":
            plastic.account_cancelled = True
            self._say("ICBC", day, plastic, "ACCOUNT_CANCELLED")
        elif kind == "DESTROY" and plastic.where in ("factory", "outlet"):
            who = "ICBC" if plastic.where == "outlet" else self._factory(plastic)
            plastic.where = "gone"
            self._say(who, day, plastic, "DESTROYED", actors=WITNESSES)
        elif kind == "HAND_OUT" and plastic.where == "factory":
            self._hand_over(plastic, day)

    def _judge(self, kind: str, plastic: Plastic, day: int) -> None:
        """What must never be asked of a partner, by the truth."""
        if kind == "CANCEL_SS" and plastic.ss_cancelled_on is None:
            self._judge_cancel(plastic, day)
        if kind != "CANCEL_ACCOUNT":
            return
        if plastic.ss_cancelled_on is None:
            self.harm.append(f"{plastic.key}: the account was cancelled before social security")
        if living := [other.key for other in self._live_plastics(plastic.key[0]) if other is not plastic]:
            self.harm.append(f"{plastic.key}: the account was cancelled on day {day}, and {living} live on it")

    def _live_plastics(self, ref: UUID) -> list[Plastic]:
        """The plastics of a card that somebody could use."""
        return [
            p for key, p in self.plastics.items()
            if key[0] == ref and p.made and p.ss_cancelled_on is None and p.where not in ("gone", "lost")
        ]  # fmt: skip

    def _judge_cancel(self, plastic: Plastic, day: int) -> None:
        ref = plastic.key[0]
        wanted = self.living[ref] and self.wanted[ref] and ref not in self.mistaken
        if plastic.where == "holder" and wanted and not self._has_one(plastic):
            self.harm.append(f"{plastic.key}: cancelled on day {day} in its living holder's hands, the only one")

    def _act_as_person(self, day: int) -> None:
        brakes = self.connection.execute("SELECT brake_no FROM brake WHERE decided_on IS NULL").fetchall()
        for (number,) in brakes:
            decide_brake(self.connection, number, True, "looked at", "planner")
        late = self.connection.execute(
            "SELECT card_ref, attempt, kind FROM request WHERE ended_on IS NULL AND asked_on < %s AND kind <> 'HOLD'",
            (on(day - PATIENCE),),
        ).fetchall()
        for ref, attempt, kind in late:
            waive_request(self.connection, str(ref), attempt, kind, "nobody answers", "planner")
            self.story[ref].append(f"day {day}: {kind} of plastic {attempt} is waived")

    # What must be in the end

    def unnoticed(self) -> Iterator[str]:
        """Cards with two live plastics in the world, of which the ledger says nothing."""
        for ref in self.living:
            live = self._live_plastics(ref)
            if len(live) > 1 and not self._noticed(ref):
                yield f"{ref}: {[p.key[1] for p in live]}"

    def _noticed(self, ref: UUID) -> bool:
        return bool(
            self.connection.execute(
                "SELECT FROM remake WHERE card_ref = %(ref)s AND ended_on IS NULL UNION ALL"
                " SELECT FROM break WHERE card_ref = %(ref)s AND closed_on IS NULL UNION ALL"
                " SELECT FROM request WHERE card_ref = %(ref)s AND (ended_on IS NULL OR ending = 'waived') LIMIT 1",
                {"ref": ref},
            ).rowcount
        )

    def open_ends(self) -> list[Any]:
        """Re-makes and requests that nobody will ever end."""
        return self.connection.execute(
            "SELECT 'remake', card_ref, r.attempt, ground FROM remake r JOIN card c USING (card_ref)"
            " WHERE r.ended_on IS NULL AND c.state IN ('ACTIVE', 'COLLECTED', 'NOT_ACTIVATED')"
            " AND c.effective > r.attempt UNION ALL SELECT 'request', card_ref, attempt, kind FROM request"
            " WHERE ended_on IS NULL AND kind <> 'HOLD'"
        ).fetchall()

    def left_without(self) -> list[Any]:
        """Cards that ended for an event that did not happen, and were not made again."""
        return self.connection.execute(
            "SELECT c.card_ref, c.state FROM card c JOIN decision d ON (d.card_ref, d.attempt, d.kind) ="
            " (c.card_ref, c.effective, 'CANCEL_PLASTIC') WHERE c.withdrawn IS NULL"
            " AND d.occasion <> '' AND NOT EXISTS (SELECT FROM decision o"
            " WHERE (o.card_ref, o.attempt, o.kind, o.occasion) = (d.card_ref, d.attempt, d.kind, '')) AND c.state IN"
            " ('CANCELLED', 'DESTROYED', 'CANCELLED_BEFORE_MAKING', 'WITHDRAWN')"
        ).fetchall()

    def _tell_story(self, plastic: Plastic, day: int, what: str) -> None:
        self.story[plastic.key[0]].append(f"day {day}: plastic {plastic.key[1]} {what}")

    def _at(self, day: int, step: Callable[[int], None]) -> None:
        self._number += 1
        heapq.heappush(self._todo, (day, self._number, step))

    def _chance(self, share: float) -> bool:
        return self._random.random() < share

    def _days(self, least: int, most: int) -> int:
        return self._random.randint(least, most)

    def _factory(self, plastic: Plastic) -> str:
        (factory,) = self.connection.execute(
            "SELECT factory FROM plastic WHERE (card_ref, attempt) = (%s, %s)", plastic.key
        ).fetchone() or ("F-ICBC",)
        return str(factory)

    def _letter(self, plastic: Plastic) -> str:
        ref, attempt = plastic.key
        return f"T{ref.hex[:12]}{attempt}{plastic.trip}".upper()
