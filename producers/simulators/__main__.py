"""`python -m producers.simulators --stepped --seed S --directory DIR [--fault NAME=RATE]… KIND`: one kind of partner.

With `--live --partner ID --box DIRECTORY` instead of `--stepped` one partner plays in real time (see live.py).

Told a day on stdin, the process lives it, reads its topics to their end and answers how much it sent and when it is
next due (principle 11). Nothing else is written to stdout; the log on stderr holds ids and counts.
"""

from __future__ import annotations

import argparse
import json
import logging
import sys
import time
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import IO, Any

from issuance.city.partners import load_registry
from issuance.settings import ROOT, STACK_DIR, environment, read_env_file
from issuance.wire.codec import Codec
from producers.simulators.casting import KINDS, cast, real_props
from producers.simulators.choices import Choices
from producers.simulators.company import Company
from producers.simulators.live import LiveChoices, Neighbours, turns
from producers.simulators.rates import LIVE, RATES, rates_with
from producers.simulators.street import Street
from producers.simulators.wire import Exchange, Line
from producers.simulators.world import World, read_world

log = logging.getLogger("simulators.stage")


class Stage:
    """One kind of partner on the local stack, day after day."""

    def __init__(self, company: Company, exchange: Exchange, street: Street | Neighbours, truth: IO[str]) -> None:
        self._company = company
        self._exchange = exchange
        self._street = street
        self._truth = truth
        self._lived: date | None = None

    def play(self, day: date) -> dict[str, Any]:
        """A round of a day; the first one lives the day, later ones only listen."""
        sent, began = 0, time.monotonic()
        if self._lived is None or self._lived < day:
            output = self._company.live(day, self._street.take(day))
            self._lived = day
            # Truth first: what is sent and then interrupted was done.
            self._tell(output.truth)
            self._exchange.send(output.messages)
            self._street.give(output.parcels)
            sent = len(output.messages)
        lived = time.monotonic()
        heard = self._exchange.read_to_end()
        again = self._company.hear(day, heard)
        self._tell(self._company.take_happenings())
        self._exchange.send(again)
        self._street.give(self._company.take_parcels(day))
        spent = 1000 * (lived - began), 1000 * (time.monotonic() - lived)
        counts = day, sent, len(again), len(heard)
        log.info("day=%s sent=%d again=%d heard=%d lived_ms=%.0f heard_ms=%.0f", *counts, *spent)
        due = [when for when in (self._company.next_due(), self._street.next_after(day)) if when is not None]
        return {"sent": sent + len(again), "next_due": min(due).isoformat() if due else None}

    def _tell(self, truth: Sequence[dict[str, Any]]) -> None:
        self._truth.writelines(json.dumps(line, ensure_ascii=False) + "\n" for line in truth)
        self._truth.flush()


def _told(line: str) -> date:
    return date.fromisoformat(json.loads(line)["day"])


def read_arguments(words: Sequence[str] | None = None) -> argparse.Namespace:
    """The command's arguments."""
    parser = argparse.ArgumentParser(prog="python -m producers.simulators")
    parser.add_argument("kind", choices=KINDS)
    way = parser.add_mutually_exclusive_group(required=True)
    way.add_argument("--stepped", action="store_true", help="days are told on stdin")
    way.add_argument("--live", action="store_true", help="one partner in real time")
    parser.add_argument("--partner", help="who plays live")
    parser.add_argument("--box", type=Path, help="what is brought to who plays live")
    parser.add_argument("--turn", type=float, default=0.5, help="seconds of a turn of who plays live")
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--directory", type=Path, required=True, help="of the play: world.json, truth and street")
    parser.add_argument("--fault", action="append", default=[], metavar="NAME=RATE")
    arguments = parser.parse_args(words)
    try:
        arguments.rates = rates_with(arguments.fault, LIVE if arguments.live else RATES)
    except ValueError as error:
        parser.error(str(error))
    return arguments


def main() -> None:
    """Play until stdin ends."""
    arguments = read_arguments()
    logging.basicConfig(stream=sys.stderr, format="%(asctime)s %(process)d %(levelname)s %(name)s %(message)s")
    logging.getLogger("simulators").setLevel(logging.INFO)
    logging.getLogger("kafka").setLevel(logging.ERROR)  # it warns of every password that a loopback line carries
    registry = load_registry(Path(environment().get("ISSUANCE_PARTNERS", ROOT / "policies" / "partners.demo.yaml")))
    world = World(()) if arguments.live else read_world(arguments.directory)
    rates = {**arguments.rates, **world.rates}
    kind_of_choices = LiveChoices if arguments.live else Choices
    choices = kind_of_choices(arguments.seed, rates, world.rates_by_subject(rates))
    company = cast(arguments.kind, registry, choices, real_props(world, STACK_DIR, rates), arguments.partner)
    envs = {
        partner.id: read_env_file(STACK_DIR / "partners" / partner.id / "partner.env")
        for partner in registry.of_kind(arguments.kind)
        if partner.id in company.members
    }
    codec = Codec(next(iter(envs.values()))["SCHEMA_REGISTRY_URL"])
    exchange = Exchange(
        Line(registry.partners[partner], env, codec, from_end=arguments.live) for partner, env in envs.items()
    )
    street = (
        Neighbours(arguments.kind, arguments.partner, arguments.box)
        if arguments.live
        else Street(arguments.directory, arguments.kind)
    )
    with (arguments.directory / f"truth-{arguments.kind}.jsonl").open("w", encoding="utf-8") as truth:
        stage = Stage(company, exchange, street, truth)
        days = turns(arguments.turn) if arguments.live else map(_told, sys.stdin)
        for day in days:
            print(json.dumps(stage.play(day)), flush=True)
    exchange.close()
    street.close()


if __name__ == "__main__":
    main()
