"""The partner guide: every example and table in it is what the code makes now, in both languages."""

from __future__ import annotations

import pytest

from issuance.city.partners import PARTNER_TOPICS
from issuance.docpages.partner_examples import BANK, collected, refusals
from issuance.docpages.partners import BLOCK, EXAMPLES, FILES, MISTAKES, REMEDIES, SUBMITTERS, Language, block, written
from issuance.words.codes import REFUSAL_CODES
from issuance.words.lifecycle import MILESTONES

LANGUAGES: tuple[Language, ...] = ("en", "zh")


@pytest.mark.parametrize("language", LANGUAGES)
def test_its_blocks_are_in_step(language: Language) -> None:
    text = FILES[language].read_text(encoding="utf-8")
    assert text == written(text, language), "write it anew: make docs"


def test_both_languages_have_the_same_blocks_in_the_same_order_and_all_examples_are_shown() -> None:
    english, chinese = ([name for _, name, _ in BLOCK.findall(FILES[one].read_text("utf-8"))] for one in LANGUAGES)
    assert english == chinese
    reporters = {kind for milestone in MILESTONES.values() for kind in milestone.reporters}
    assert {*EXAMPLES, *(f"milestones-{kind}" for kind in reporters)} <= set(english)
    assert reporters <= set(PARTNER_TOPICS)


def test_every_refusal_that_a_partner_can_get_says_what_to_do() -> None:
    assert set(REMEDIES) | SUBMITTERS == set(REFUSAL_CODES)
    assert not set(REMEDIES) & SUBMITTERS


@pytest.mark.parametrize("mistake", MISTAKES, ids=lambda mistake: mistake[1])
def test_a_mistake_that_is_shown_is_one_and_has_one_code(mistake: tuple[str, str, object]) -> None:
    report = collected()
    assert refusals(report, BANK) == []
    mistake[2](report)  # type: ignore[operator]
    assert len(refusals(report, BANK)) == 1


def test_a_block_that_nobody_makes_is_an_error() -> None:
    with pytest.raises(KeyError):
        block("nothing", "en")


def test_everything_of_a_block_is_written_anew() -> None:
    torn = "a\n<!-- made: carriers -->\n\nold\n\n<!-- end -->\nb\n"
    assert written(torn, "en") == "a\n<!-- made: carriers -->\n\n`EMS`, `SF`\n\n<!-- end -->\nb\n"
