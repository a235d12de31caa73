"""The card that heads the page: what was found, who is who, on what, how sure, what next, and a clip to listen to.

Open it to change what a reader sees first. What was found is said in the sentences of the terminal, of `screen.py`; the
others are in `templates/card.txt`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, NamedTuple

from cascade_equivalence.conditions import CLEAN
from cascade_equivalence.config.augmented import AUGMENTED
from cascade_equivalence.config.statistics import StatisticsConfig
from cascade_equivalence.config.study import LENS, ORACLE, PRIOR, ByItself
from cascade_equivalence.report.browser import SHARED_FIRST, HeardClip, Items, Side
from cascade_equivalence.report.naming import (
    API,
    CASCADE,
    DEGRADED,
    E2E,
    HEARING,
    LENS_TEXT,
    SPEECH_LLM,
    Outline,
    task_title,
)
from cascade_equivalence.report.prose import say
from cascade_equivalence.report.screen import in_telling_order, systems_in_order
from cascade_equivalence.report.screen_cells import FEW, OPEN, Opponent, SystemPair, Told, opponents, told
from cascade_equivalence.report.screen_sentences import claims_inside, sentences, text_suffices
from cascade_equivalence.report.tables import Tables
from cascade_equivalence.report.wording import listed

SENTENCES = "card.txt"
SEEN = 3  # sentences on speech LLMs that are not folded
PORTRAITS = 8  # systems that are not folded
ANSWERS = 4  # systems whose answers stand under the clip
NEEDS = 3  # tasks of which it is said how many texts they would take
KINDS_OF_SYSTEMS = {
    E2E: "speech LLM",
    API: "speech LLM behind an API",
    CASCADE: "cascade",
    "implicit": "cascade inside the model",
    DEGRADED: "cascade with errors added",
    AUGMENTED: "cascade that is told what the voice tells",
    PRIOR: "floor",
    "imported": "answered elsewhere",
}


class Station(NamedTuple):
    """A box of a drawing: ``sound``, ``text``, or what ``hears`` or ``reads``, and what is written in it."""

    kind: str
    label: str


SOUND = Station("sound", "sound")
GIVEN_TEXTS = {ORACLE: Station("text", "the true text"), PRIOR: Station("text", "no text")}
OWN_TEXTS = {
    SPEECH_LLM: Station("text", "its transcript"),
    LENS_TEXT: Station("text", "its last layer's words"),
    DEGRADED: Station("text", "text with errors added"),
}


@dataclass(frozen=True)
class Portrait:
    """A system in the drawing of who is who.

    Attributes:
        name: The system.
        about: Its kind, and whose LLM it has.
        way: From the sound to what answers.
    """

    name: str
    about: str
    way: Sequence[Station]


@dataclass(frozen=True)
class Example:
    """A clip, and what some systems made of it.

    Attributes:
        clip: The clip.
        what: What became of it.
        readers: Recognisers and what each wrote of it.
        answers: Systems and their parts.
        place: The two of a pair by which the item browser finds it.
    """

    clip: HeardClip
    what: str
    readers: Sequence[tuple[str, str]]
    answers: Sequence[tuple[str, Side]]
    place: tuple[str, str]


@dataclass(frozen=True)
class Card:
    """What heads the page.

    Attributes:
        sentences: On each speech LLM one; the first ``SEEN`` are seen at once.
        inside: On the claims on the inside of models.
        asked: On what the systems were asked.
        sure: How sure the words are, and what they mean.
        next: What it would take to tell more.
        portraits: The systems; the first ``PORTRAITS`` are seen at once.
        silence: Whether they were asked over silence, too.
        example: A clip, where there are any.
    """

    sentences: Sequence[str]
    inside: Sequence[str]
    asked: str
    sure: str
    next: str
    portraits: Sequence[Portrait]
    silence: bool
    example: Example | None

    seen = SEEN
    drawn = PORTRAITS


def card(
    tables: Tables,
    outline: Outline,
    statistics: StatisticsConfig,
    counted: Sequence[Mapping[str, Any]],
    items: Items | None,
) -> Card:
    """What heads the page of a study.

    Args:
        tables: The tidy tables.
        outline: Names, and what the systems are made of.
        statistics: Level of the intervals, bounds and false discovery rate.
        counted: Of each task, ``task``, ``groups`` and ``answers``.
        items: Items to look at and listen to.
    """
    against = opponents(tables)
    cells = told(tables)
    names = systems_in_order(tables, in_telling_order(cells, against), against)
    matched = _matched(tables)
    bounds = {"level": statistics.confidence, "fdr": statistics.fdr, "bounds": statistics.equivalence}
    bounds["held"] = tables.equivalence["gap"].drop_nulls().len() > 0
    enough = {row["task"]: row["groups"] for row in counted}
    words = [(task_title(task), number) for task, number in enough.items() if text_suffices(task)]
    voice = [(task_title(task), number) for task, number in enough.items() if not text_suffices(task)]
    return Card(
        sentences=sentences(tables),
        inside=claims_inside(tables, statistics),
        asked=say(SENTENCES, "asked", words=words, voice=voice, answers=sum(row["answers"] for row in counted)),
        sure=say(SENTENCES, "sure", compared=sum(map(len, cells.values())), **bounds),
        next=say(SENTENCES, "next", needs=_needs(tables, cells, against), most=NEEDS),
        portraits=[_portrait(name, outline, matched.get(name, [])) for name in names if name in outline.systems],
        silence=tables.silence.height > 0,
        example=_example(items, outline, names, against) if items else None,
    )


def _matched(tables: Tables) -> dict[str, list[str]]:
    """Of each system that is no speech LLM, the speech LLMs whose LLM it has."""
    found: dict[str, dict[str, None]] = {}
    for row in tables.agreement.filter(condition=CLEAN, match="exact").iter_rows(named=True):
        for one, other in (("system", "reference"), ("reference", "system")):
            if row[f"{one}_kind"] not in HEARING and row[f"{other}_kind"] in HEARING:
                found.setdefault(row[one], {})[row[other]] = None
    return {name: list(theirs) for name, theirs in found.items()}


def _portrait(name: str, outline: Outline, matched: Sequence[str]) -> Portrait:
    kind = str(outline.parts(name)["kind"])
    about = KINDS_OF_SYSTEMS.get(kind, kind)
    return Portrait(name, f"{about} with the LLM of {listed(matched)}" if matched else about, _way(name, outline))


def _way(name: str, outline: Outline) -> list[Station]:
    """From the sound to what answers."""
    spec = outline.systems[name]
    if isinstance(spec, ByItself):
        return [SOUND, Station("hears", spec.model)]
    origin, hears = outline.asr_kind(spec.asr), spec.asr.removesuffix(LENS)
    speech_llms = {each.model for each in outline.systems.values() if isinstance(each, ByItself)}
    of_speech_llm = "its LLM" if spec.llm == hears else f"LLM of {spec.llm}"
    answers = Station("reads", of_speech_llm if spec.llm in speech_llms else spec.llm)
    if origin in GIVEN_TEXTS:
        return [GIVEN_TEXTS[origin], answers]
    text = OWN_TEXTS.get(origin, Station("text", "text"))
    if spec.kind == AUGMENTED:
        text = Station("text", "text and words for the voice")
    return [SOUND, Station("hears", hears), text, answers]


def _needs(
    tables: Tables, cells: Mapping[SystemPair, Mapping[str, Told]], against: Mapping[str, Opponent | None]
) -> list[tuple[str, int, int]]:
    """Tasks on which too few items were asked to tell: the texts asked, and those that equal accuracies would take."""
    found: dict[str, tuple[str, int, int]] = {}
    for each in against.values():
        mine = cells.get(each.pair, {}) if each else {}
        for task, one in mine.items():
            if each is None or (one.state, one.why) != (OPEN, FEW):
                continue
            rows = tables.power.filter(system=each.pair[0], reference=each.pair[1], task=task, condition=CLEAN)
            for asked, needed in rows.select("groups", "groups_for_80").drop_nulls().iter_rows():
                if needed > asked:
                    found[task] = (task_title(task), asked, max(needed, found[task][2] if task in found else 0))
    return list(found.values())


def _example(
    items: Items, outline: Outline, names: Sequence[str], against: Mapping[str, Opponent | None]
) -> Example | None:
    """The most telling clip of the first speech LLM and its cascade: a shared error that can be heard."""
    firsts = [each.pair for each in against.values() if each]
    places = {(pair.system, pair.reference): place for place, pair in enumerate(items.pairs)}
    ranked = [places[pair] for pair in firsts if pair in places]
    first = ranked[0] if ranked else 0
    there = [entry for entry in items.entries if entry.pair == first]
    if not there:
        return None

    def rank(number: int) -> tuple[bool, bool, int, bool]:
        clip, kind = items.clips[there[number].clip], there[number].kind
        said = [side.heard for side in clip.sides.values() if side.transcribed]
        misheard = any(heard != clip.spoken for heard in said)
        return clip.condition != CLEAN, clip.audio is None, SHARED_FIRST.index(kind), not misheard

    entry = there[min(range(len(there)), key=rank)]
    clip, pair = items.clips[entry.clip], items.pairs[entry.pair]
    shown = [pair.system, pair.reference, *names]
    answers = [(name, clip.sides[name]) for name in dict.fromkeys(shown) if name in clip.sides]
    readers = {
        outline.systems[name].asr: side.heard  # type: ignore[union-attr]
        for name, side in answers
        if side.transcribed and not isinstance(outline.systems[name], ByItself)
    }
    return Example(
        clip,
        entry.kind.replace("the system", pair.system).replace("the reference", pair.reference),
        [(asr, heard) for asr, heard in readers.items() if outline.asr_kind(asr) == "asr"][:2],
        list(islice(answers, ANSWERS)),
        (pair.system, pair.reference),
    )
