"""Single items to look at and listen to: what was said, what each system heard, answered and was read as."""

import random
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import zip_longest
from pathlib import Path
from typing import Any, NamedTuple

import polars as pl

from cascade_equivalence.conditions import CLEAN, families
from cascade_equivalence.config.statistics import PairSpec
from cascade_equivalence.config.study import LENS, ORACLE, PRIOR, ByItself, SystemSpec
from cascade_equivalence.identity import files_about
from cascade_equivalence.report.audio import read_some, within
from cascade_equivalence.report.naming import NodeFile, Outline, condition_title, nodes, task_title
from cascade_equivalence.stats.join import join_pair
from cascade_equivalence.tasks.items import read_items
from cascade_equivalence.vocabulary import INVALID

PER_KIND = 3
AUDIO_BUDGET = 8 * 2**20
BY_ITSELF, NOT_KEPT = "the audio, by itself", "a transcript that is not at hand"
NEITHER = ~pl.col("system_correct") & ~pl.col("reference_correct")
# Two answers that could not be parsed are no shared mistake.
ALIKE = (pl.col("system_parsed") == pl.col("reference_parsed")) & (pl.col("system_parsed") != INVALID)
KINDS = {
    "both right": pl.col("system_correct") & pl.col("reference_correct"),
    "only the system right": pl.col("system_correct") & ~pl.col("reference_correct"),
    "only the reference right": ~pl.col("system_correct") & pl.col("reference_correct"),
    "both wrong, same answer": NEITHER & ALIKE,
    "both wrong, each its own": NEITHER & ~ALIKE,
}
"""What can become of a clip that two systems answer; every clip is of one kind."""
SHARED = "both wrong, same answer"
ONLY_ONE = tuple(kind for kind in KINDS if kind.startswith("only"))
SHARED_FIRST = list(dict.fromkeys([SHARED, *ONLY_ONE, *reversed(KINDS)]))
"""Kinds by how much a clip of them tells: a shared error the most, what both got right the least."""


@dataclass(frozen=True)
class Side:
    """One system's part.

    Attributes:
        origin: What ``heard`` is, as a heading.
        heard: The transcript it read; of a speech LLM, which hears by itself, its own transcription if it gave one.
        transcribed: Whether ``heard`` is a transcript.
        raw: Its answer, word for word.
        parsed: What the answer was read as.
        correct: Whether that is right.
    """

    origin: str
    heard: str
    transcribed: bool
    raw: str
    parsed: str
    correct: bool


@dataclass(frozen=True)
class HeardClip:
    """One clip and the answers to it.

    Attributes:
        task: The task.
        item: Id of the item.
        voice: Voice of the clip.
        condition: ``clean`` or a noise.
        gold: The right answer.
        sides: What each system made of it, by its name.
        spoken: What was to be said; None where that is not known.
        options: Answer options in the order of their letters.
        file: Where the clip is; None where there is no such file.
        seconds: Its length.
        audio: The sound as a ``data:`` address; None where it is not in the page.
    """

    task: str
    item: str
    voice: str
    condition: str
    gold: str
    sides: Mapping[str, Side]
    spoken: str | None = None
    options: tuple[str, ...] = ()
    file: str | None = None
    seconds: float | None = None
    audio: str | None = None


class Entry(NamedTuple):
    """A clip as an example of a kind: places in the lists of pairs and clips, and one of ``KINDS``."""

    pair: int
    clip: int
    kind: str


@dataclass(frozen=True)
class Items:
    """What there is to look at.

    Attributes:
        pairs: Pairs, in the reader's order.
        clips: Clips, each once, whichever pairs they are shown for.
        entries: What each clip is an example of, by task, pair, condition and kind.
    """

    pairs: Sequence[PairSpec]
    clips: Sequence[HeardClip]
    entries: Sequence[Entry]

    def samples(self) -> list[tuple[str, list[tuple[PairSpec, HeardClip, str]]]]:
        """One clip of each kind a task, of the first pair that answered it, clean speech before noise."""
        found: dict[str, dict[str, tuple[PairSpec, HeardClip, str]]] = {}
        first: dict[str, int] = {}
        for pair, number, kind in self.entries:
            clip = self.clips[number]
            if first.setdefault(clip.task, pair) == pair:
                found.setdefault(task_title(clip.task), {}).setdefault(kind, (self.pairs[pair], clip, kind))
        return [(task, list(samples.values())) for task, samples in found.items()]

    def payload(self) -> dict[str, Any]:
        """The same as plain lists and mappings, for JSON, with names as a reader sees them."""
        tasks = dict.fromkeys(clip.task for clip in self.clips)
        conditions = dict.fromkeys(clip.condition for clip in self.clips)
        return {
            "tasks": {task: task_title(task) for task in tasks},
            "conditions": {condition: condition_title(condition) for condition in conditions},
            "kinds": list(KINDS),
            "first": SHARED,
            "pairs": [pair.model_dump(mode="json") for pair in self.pairs],
            "clips": [asdict(clip) for clip in self.clips],
            "entries": [entry._asdict() for entry in self.entries],
        }


def browser_items(
    answer_files: Iterable[Path],
    transcript_files: Iterable[Path],
    speech_files: Iterable[Path],
    item_files: Iterable[Path],
    outline: Outline,
    *,
    per_kind: int = PER_KIND,
    seed: int = 0,
    audio_budget_bytes: int = AUDIO_BUDGET,
) -> Items:
    """Draw clips of every task, pair and kind, on clean speech and in the loudest noise.

    Pairs share clips as far as their kinds allow: all draw from one shuffled order a task and condition, so that one
    sound serves several of them. Within a kind the draw is uniform.

    Args:
        answer_files: Answers of a system, task and condition each.
        transcript_files: Transcripts of an origin, task and condition each.
        speech_files: Clips of a task, voice and condition each; without them there is nothing to hear.
        item_files: Items of a task each, for options and texts.
        outline: Names, and what the systems are made of.
        per_kind: Most clips a task, pair, condition and kind.
        seed: Seed of the draw.
        audio_budget_bytes: Most characters of sound in the page; spent on all tasks and kinds in turn.

    Returns:
        The clips and what they are examples of.

    Raises:
        StudyError: Two systems did not answer the same clips, or a chosen clip's sound is corrupt.
    """
    answers, transcripts = nodes(answer_files, "system"), nodes(transcript_files, "asr")
    speech = files_about(speech_files, ("task", "voice", "condition"))
    items = {task: path for (task,), path in files_about(item_files, ["task"]).items()}
    pairs = [pair for pair in outline.ordered_pairs() if {pair.system, pair.reference} <= {n.who for n in answers}]
    clips: list[HeardClip] = []
    entries: list[Entry] = []
    for task in outline.ordered_tasks():
        for condition in _conditions(answers, task):
            here = {node.who: pl.read_parquet(path) for node, path in answers.items() if _at(node, task, condition)}
            drawn = _draw(here, pairs, per_kind, f"{seed} {task} {condition}")
            keys = sorted({key for _, _, key in drawn})
            number = {key: len(clips) + place for place, key in enumerate(keys)}
            entries += [Entry(pair, number[key], kind) for pair, kind, key in drawn]
            known = {item.id: item for item in read_items(items[task])} if task in items else {}
            sides = {
                who: _sides(table, outline.systems[who], transcripts, task, condition) for who, table in here.items()
            }
            gold = {(row[0], row[1]): row[2] for each in here.values() for row in each[["id", "voice", "label"]].rows()}
            for item, voice in keys:
                answered = {who: each[item, voice] for who, each in sides.items() if (item, voice) in each}
                clip = HeardClip(task, item, voice, condition, gold[item, voice], answered)
                if item in known:
                    clip = replace(clip, spoken=known[item].text, options=known[item].options)
                clips.append(clip)
    return Items(pairs, _with_sound(clips, entries, speech, audio_budget_bytes), entries)


def _at(node: NodeFile, task: str, condition: str) -> bool:
    return (node.task, node.condition) == (task, condition)


def _conditions(answers: Iterable[NodeFile], task: str) -> list[str]:
    """Clean speech and the hardest noise of each kind that a task was answered in."""
    found = {node.condition for node in answers if node.task == task}
    return [*([CLEAN] if CLEAN in found else []), *(names[-1] for names in families(found).values())]


def _draw(
    here: Mapping[str, pl.DataFrame], pairs: Sequence[PairSpec], per_kind: int, seed: str
) -> list[tuple[int, str, tuple[str, str]]]:
    """Clips of one task and condition as (place of the pair, kind, (item, voice))."""
    found = []
    keys = sorted({key for table in here.values() for key in table.select("id", "voice").iter_rows()})
    random.Random(seed).shuffle(keys)  # noqa: S311 - a reproducible draw, no secret
    rank = {key: place for place, key in enumerate(keys)}
    for place, pair in enumerate(pairs):
        if pair.system not in here or pair.reference not in here:
            continue
        joined = join_pair(here[pair.system], here[pair.reference])
        for kind, rule in KINDS.items():
            mine = sorted(joined.filter(rule).select("id", "voice").iter_rows(), key=rank.__getitem__)
            found += [(place, kind, key) for key in mine[:per_kind]]
    return found


def _sides(
    answers: pl.DataFrame, spec: SystemSpec, transcripts: Mapping[NodeFile, Path], task: str, condition: str
) -> dict[tuple[str, str], Side]:
    speaks = isinstance(spec, ByItself)
    source = spec.model if isinstance(spec, ByItself) else spec.asr
    path = transcripts.get(NodeFile(source, task, condition))
    heard: dict[tuple[str, str], str] = {}
    if path is not None:
        table = pl.read_parquet(path, columns=["id", "voice", "text"])
        heard = {(item, voice): text for item, voice, text in table.iter_rows()}
    if speaks:
        origin = "Own transcription, asked for separately" if heard else "Heard"
    else:
        origins = {ORACLE: "Read, as it was spoken", PRIOR: "Read nothing"}
        origin = origins.get(source, "Read off the last layer" if source.endswith(LENS) else "Heard")
    missing = BY_ITSELF if speaks else NOT_KEPT
    return {
        (item, voice): Side(origin, heard.get((item, voice), missing), (item, voice) in heard, raw, parsed, correct)
        for item, voice, raw, parsed, correct in answers.select("id", "voice", "raw", "parsed", "correct").iter_rows()
    }


def _with_sound(
    clips: Sequence[HeardClip], entries: Sequence[Entry], speech: Mapping[tuple[str, ...], Path], budget: int
) -> list[HeardClip]:
    """The clips with their texts and lengths, and with sound as far as the budget goes."""
    wanted: dict[tuple[str, ...], dict[str, int]] = {}
    for number, clip in enumerate(clips):
        wanted.setdefault((clip.task, clip.voice, clip.condition), {})[clip.item] = number
    found, flacs = list(clips), {}
    for place, numbers in wanted.items():
        if place not in speech:
            continue
        for item, spoken in read_some(speech[place], numbers).items():
            number = numbers[item]
            where = speech[place].as_posix()
            found[number] = replace(found[number], spoken=spoken.text, seconds=spoken.seconds, file=where)
            flacs[number] = spoken.flac
    heard = within(((number, flacs[number]) for number in _in_turn(clips, entries) if number in flacs), budget)
    return [replace(clip, audio=heard.get(number)) for number, clip in enumerate(found)]


def _in_turn(clips: Sequence[HeardClip], entries: Sequence[Entry]) -> Iterator[int]:
    """Every clip once, a clip of each task, condition and kind in turn."""
    strata: dict[tuple[str, str, str], dict[int, None]] = {}
    for entry in entries:
        clip = clips[entry.clip]
        strata.setdefault((clip.task, clip.condition, entry.kind), {})[entry.clip] = None
    rounds = zip_longest(*strata.values())
    yield from dict.fromkeys(number for each in rounds for number in each if number is not None)
