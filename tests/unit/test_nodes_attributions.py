"""Words taken out of what is heard and of what is read: what agrees is found to agree, and nothing else is."""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import cast

import numpy as np
import polars as pl
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from study_config import ROOT, changed, lines_of, one_line
from tiny_llm import byte_level_tokenizer, save_llama
from tiny_models import build_whisper

from cascade_equivalence.config.load import load_study
from cascade_equivalence.config.mechanism import AttributionsConfig
from cascade_equivalence.config.statistics import StatisticsConfig
from cascade_equivalence.config.study import AnswerConfig, TaskSpec
from cascade_equivalence.errors import StudyError
from cascade_equivalence.identity import write_table
from cascade_equivalence.mechanism.words_out import (
    log_odds,
    places_in,
    silenced,
    widened,
    without_span,
    without_word,
    word_spans,
)
from cascade_equivalence.models import answering
from cascade_equivalence.models.question import ModelFiles, SpeechFiles
from cascade_equivalence.models.recording import Recording
from cascade_equivalence.models.speech_llm.model import SpeechLLM
from cascade_equivalence.models.text_llm import TextLLM
from cascade_equivalence.models.transcription.alignment import Aligner
from cascade_equivalence.nodes import attributions as node
from cascade_equivalence.nodes.attributions import (
    ARMS,
    SCHEMA,
    TimedClip,
    attributions,
    build_questions,
    word_finder,
    write_attributions,
)
from cascade_equivalence.report.attributions_table import FEW_WORDS, display, frame
from cascade_equivalence.speech.clips import Clip
from cascade_equivalence.stages import attributions as stage
from cascade_equivalence.stages.study import Study
from cascade_equivalence.stats.attribution import FEWEST_WORDS, agreement, at_same_places, spearman
from cascade_equivalence.tasks.base import Item

VOCABULARY = [
    "dog",
    "bridge",
    "cup",
    "goalkeeper",
    "news",
    "story",
    "topic",
    "sports",
    "city",
    "France",
    "penalties",
    "London",
    "answer",
    "long",
    "final",
    "home",
]
LABELS = {"positive": "s", "negative": "b"}
SPEC = TaskSpec(prompt="Story: {speech}\nWhich?", answer_prefix="The answer is\n", label_words=LABELS)
WORD, TEXTS = 0.1, 24
FILES = ModelFiles(Path(), "r", True, SpeechFiles(Path(), "e"))


class WordEar:
    """Hears each word in a tenth of a second of its own; a silent one is not heard, or another in its place.

    Args:
        text: The text LLM.
        texts: What clips say; a clip's level is its number, counted from 1.
        missed: The place of the word that is not heard where the sound of a place is silent, of so many.
    """

    def __init__(self, text: TextLLM, texts: Sequence[str], missed: Callable[[int, int], int]) -> None:
        self.text, self.texts, self.missed = text, texts, missed

    def embed(self, audios: Sequence[np.ndarray]) -> list[torch.Tensor]:
        return [self._embed(audio) for audio in audios]

    def _embed(self, audio: np.ndarray) -> torch.Tensor:
        words = self.texts[round(float(audio.max()) * 100) - 1].split()
        middles = [audio[round((place + 0.5) * WORD * 16_000)] for place in range(len(words))]
        gone = {self.missed(place, len(words)) for place, level in enumerate(middles) if level == 0}
        said = "".join(f" {word}" for place, word in enumerate(words) if place not in gone)
        table = self.text.model.get_input_embeddings()
        return table(torch.tensor(self.text.tokenize(said), dtype=torch.long)).detach()  # type: ignore[no-any-return]


def sound(number: int, words: int) -> np.ndarray:
    return np.full(round(words * WORD * 16_000), (number + 1) / 100, dtype=np.float32)


@pytest.fixture(scope="module")
def text(tmp_path_factory: pytest.TempPathFactory) -> TextLLM:
    folder = save_llama(tmp_path_factory.mktemp("llm"), byte_level_tokenizer())
    return TextLLM(folder, "cpu", torch.float32, chat=True)


@pytest.fixture(scope="module")
def spoken() -> list[TimedClip]:
    generator, found = np.random.default_rng(0), []
    for number in range(TEXTS):
        words = generator.choice(VOCABULARY, 6, replace=False).tolist()
        item = Item(f"i{number:02}", " ".join(words), list(LABELS)[number % 2], f"i{number:02}")
        clip = Recording(item.id, len(words) * WORD, partial(sound, number, len(words)))
        spans = [(place * WORD, (place + 1) * WORD) for place in range(len(words))]
        # The recogniser writes one word otherwise, and leaves out another.
        heard = [word.upper() for word in words]
        if number == 0:
            heard[1] = "bridges"
            del heard[4]
        found.append(TimedClip(item, clip, item.text, spans, " ".join(heard)))
    return found


def taken_out(
    text: TextLLM,
    spoken: Sequence[TimedClip],
    missed: Callable[[int, int], int],
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    transcript: bool = False,
) -> pl.DataFrame:
    if not transcript:
        spoken = [TimedClip(one.item, one.recording, one.text, one.spans, one.text) for one in spoken]
    model = SpeechLLM(WordEar(text, [one.text for one in spoken], missed), text, leading_space=True)
    monkeypatch.setattr(answering, "_load", lambda files, *_: (text, model if files.speech else None))
    config = AnswerConfig(dtype="float32", device="cpu", batch_size=8)
    typed = ModelFiles(FILES.folder, FILES.revision, FILES.chat)
    arms = build_questions("sst2", SPEC, "", spoken)
    found = attributions(arms, FILES, typed, config, folder / "store.jsonl", "tiny")
    write_attributions("m", "sst2", spoken, found, [], folder / "words.parquet")
    return pl.read_parquet(folder / "words.parquet")


def tabled(folder: Path, words: pl.DataFrame) -> dict[str, object]:
    write_table(words, folder / "table.parquet", {"model": "m", "task": "sst2"})
    return frame([folder / "table.parquet"], StatisticsConfig()).row(0, named=True)


def test_who_hears_the_very_words_gives_each_the_same(
    text: TextLLM, spoken: list[TimedClip], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = taken_out(text, spoken, lambda place, _: place, tmp_path, monkeypatch)
    assert words.schema == pl.Schema(SCHEMA)
    for arm in ARMS:
        assert words[arm].to_list() == pytest.approx(words["read"].to_list(), abs=1e-3)
    assert words["heard"].abs().max() > 0.05  # type: ignore[operator]
    row = tabled(tmp_path, words)
    assert row["agreement"] == pytest.approx(1, abs=0.01) and row["above_chance"]
    assert row["same_answer"] == 1 and row["words"] == 6 * TEXTS and row["silent_words"] == 0


def test_who_uses_another_word_is_at_chance(
    text: TextLLM, spoken: list[TimedClip], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Planted: without a word's sound the ear misses another word; all answers are the same nevertheless."""
    row = tabled(
        tmp_path, taken_out(text, spoken, lambda place, words: (place + words // 2) % words, tmp_path, monkeypatch)
    )
    assert row["same_answer"] == 1 and not row["above_chance"]
    assert row["heard_ceiling"] == pytest.approx(1, abs=0.01)


def test_words_that_the_transcript_lacks_are_left_out(
    text: TextLLM, spoken: list[TimedClip], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = taken_out(text, spoken[:1], lambda place, _: place, tmp_path, monkeypatch, transcript=True)
    assert words["read"].is_null().to_list() == [place == 4 for place in range(6)]
    assert words["read_again"].null_count() == words["heard"].null_count() == 0


def test_what_is_stored_is_not_asked_again(
    text: TextLLM, spoken: list[TimedClip], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = taken_out(text, spoken[:3], lambda place, _: place, tmp_path, monkeypatch)
    monkeypatch.setattr(WordEar, "embed", None)
    assert taken_out(text, spoken[:3], lambda place, _: place, tmp_path, monkeypatch).equals(first)


def planted(items: int, shared: float, place: float, seed: int = 0, labels: str = "a") -> pl.DataFrame:
    """Attributions of items of one text each: what both arms share, what a word's place is to ``a``, and noise."""
    generator, rows = np.random.default_rng(seed), []
    for number in range(items):
        count = int(generator.integers(6, 14))
        label = labels[number % len(labels)]
        own, common = generator.normal(size=count), np.linspace(-1, 1, count) * (1 if label == "a" else -1)
        arms = {arm: shared * own + place * common + 0.3 * generator.normal(size=count) for arm in ARMS}
        for word in range(count):
            row = {"id": f"i{number}", "group": f"g{number}", "label": label, "place": word}
            row |= {"start": 0.0, "end": 0.1, **{arm: float(values[word]) for arm, values in arms.items()}}
            rows.append(
                row | {"heard_whole": 0.0, "read_whole": 0.0, "heard_answer": "a", "read_answer": "ab"[number % 2]}
            )
    return pl.DataFrame(rows, schema=SCHEMA)


def test_what_places_alone_give_is_no_agreement(tmp_path: Path) -> None:
    row = tabled(tmp_path, planted(40, shared=0.0, place=1.0))
    assert row["agreement_low"] > 0.3 and not row["above_chance"]  # type: ignore[operator]
    row = tabled(tmp_path, planted(40, shared=1.0, place=0.0))
    assert row["above_chance"] and row["places_low"] < 0 < row["places_high"]  # type: ignore[operator]
    assert abs(row["shuffled"]) < 0.1 and row["same_answer"] == pytest.approx(0.5)  # type: ignore[arg-type]
    nothing = tabled(tmp_path, planted(40, shared=0.0, place=0.0, seed=3))
    assert not nothing["above_chance"]


def test_a_place_that_speaks_for_one_answer_is_no_agreement_whatever_the_labels(tmp_path: Path) -> None:
    """Of the right label's log-odds, what a place is to one answer turns with the label."""
    row = tabled(tmp_path, planted(40, shared=0.0, place=1.0, labels="ab"))
    assert row["agreement_low"] > 0.3 and not row["above_chance"] and row["other_labels"] == 0  # type: ignore[operator]
    assert row["places"] == pytest.approx(row["agreement"], abs=0.1)
    alone = planted(20, shared=1.0, place=0.0, labels="a" * 19 + "b")
    write_table(alone, tmp_path / "a.parquet", {"model": "m", "task": "sst2"})
    table = frame([tmp_path / "a.parquet"], StatisticsConfig())
    assert table["other_labels"].item() == 1 and any(
        " 1 items have no" in each for each in display(table, 0.95).remarks
    )


def test_clips_whose_words_are_not_found_are_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        node, "recordings", lambda clips: [Recording(clip.id, 1.0, lambda: np.ones(1)) for clip in clips]
    )
    monkeypatch.setattr(node, "word_spans", lambda aligner, clip, text: None if clip.sha256 == "i1" else [(0.0, 0.5)])
    items = [Item(f"i{number}", "t", "positive", f"g{number}") for number in range(3)]
    clips = [Clip(item.id, "v", b"", 16_000, 1.0, "p", "word", item.id) for item in items]
    heard = pl.DataFrame({"id": ["i0", "i1", "i2"], "voice": ["v"] * 3, "text": ["word"] * 3})
    config = AttributionsConfig(asr="whisper-base")
    found, missed = node.spoken_items("sst2", items, clips, heard, cast(Aligner, None), config)
    assert {one.item.id for one in found} == {"i0", "i2"} and missed == [items[1]]
    write_attributions("m", "sst2", [], {}, missed, tmp_path / "words.parquet")
    table = frame([tmp_path / "words.parquet"], StatisticsConfig())
    assert table["not_found"].item() == 1 and table["items"].item() == 0
    assert any(" 1 clips are left out" in remark for remark in display(table, 0.95).remarks)
    full = pl.concat([planted(20, 1.0, 0.0), pl.read_parquet(tmp_path / "words.parquet")])
    row = tabled(tmp_path, full)
    assert row["not_found"] == 1 and row["items"] == 20 and row["words"] == full.height - 1


def test_the_table_is_shown(tmp_path: Path) -> None:
    write_table(planted(30, 1.0, 0.0), tmp_path / "a.parquet", {"model": "m", "task": "sst2"})
    write_table(pl.DataFrame(schema=SCHEMA), tmp_path / "b.parquet", {"model": "m", "task": "meld"})
    table = frame([tmp_path / "a.parquet", tmp_path / "b.parquet"], StatisticsConfig())
    shown = display(table, 0.95)
    assert {len(row) for row in shown.rows} == {len(shown.columns)} and len(shown.rows) == 2
    assert any(FEW_WORDS in remark for remark in shown.remarks)


@given(st.lists(st.tuples(st.floats(-5, 5), st.floats(-5, 5)), min_size=FEWEST_WORDS, max_size=20))
def test_rank_correlation_is_scipys(pairs: list[tuple[float, float]]) -> None:
    one, other = (np.array(each) for each in zip(*pairs, strict=True))
    found = spearman(one, other)
    if len(set(one)) > 1 and len(set(other)) > 1:
        assert found == pytest.approx(stats.spearmanr(one, other).statistic, abs=1e-9)
    else:
        assert np.isnan(found)
    assert np.isnan(spearman(one[: FEWEST_WORDS - 1], other[: FEWEST_WORDS - 1]))


def test_no_text_is_held_against_itself() -> None:
    values = [np.arange(5.0), np.arange(5.0)]
    assert np.isnan(at_same_places(values, values, ["g", "g"], ["a", "a"], 0)[0]).all()
    for labels, of_any in ((["a", "a"], 0), (["a", "b"], 2)):
        found, others = at_same_places(values, values, ["g", "h"], labels, 0)
        assert found == pytest.approx([1, 1]) and agreement(values, values) == pytest.approx([1, 1])
        assert others == of_any


@given(st.floats(0, 2), st.floats(0, 2))
def test_silence_is_where_the_word_was_and_nowhere_else(first: float, last: float) -> None:
    audio = np.random.default_rng(0).normal(size=24_000).astype(np.float32)
    start, end = min(first, last), max(first, last)
    out = silenced(audio, (start, end))
    inside = slice(min(24_000, round(start * 16_000)), min(24_000, round(end * 16_000)))
    assert len(out) == len(audio) and np.abs(out).sum() <= np.abs(audio).sum()
    outside = np.ones(len(audio), dtype=bool)
    outside[inside] = False
    assert (out[outside] == audio[outside]).all()
    if end - start > 0.02:
        assert not out[inside][80:-80].any()
    assert (silenced(audio, (start, start)) == audio).all()


def test_each_span_has_a_sound_of_its_own() -> None:
    whole = Recording("a", 1.5, lambda: np.ones(24_000, dtype=np.float32))
    names = {without_span(whole, span).sha256 for span in ((0.0, 0.1), (0.1, 0.2), (0.0, 0.2))} | {whole.sha256}
    assert len(names) == 4
    assert widened((0.01, 1.49), 0.04, 1.5) == (0.0, 1.5)


@pytest.mark.parametrize(
    ("transcript", "places"),
    [
        ("a dog ran home", [0, 1, 2, 3]),
        ("A Dog, ran: home!", [0, 1, 2, 3]),
        ("a fog ran home", [0, 1, 2, 3]),
        ("a ran home", [0, None, 1, 2]),
        ("oh a dog ran home", [1, 2, 3, 4]),
        ("", [None] * 4),
    ],
)
def test_words_of_a_transcript_are_found(transcript: str, places: list[int | None]) -> None:
    assert places_in("A dog ran home.", transcript) == places


def test_log_odds_are_against_all_others() -> None:
    scores = {name: float(np.log(share)) for name, share in {"a": 0.5, "b": 0.3, "c": 0.2}.items()}
    assert log_odds(scores, "a") == pytest.approx(0) and log_odds(scores, "c") == pytest.approx(np.log(0.25))
    assert without_word("a dog ran", 1) == "a ran"


def test_words_follow_each_other_in_time(tmp_path: Path) -> None:
    aligner = Aligner(build_whisper(tmp_path / "whisper", 1))
    noise = np.random.default_rng(0).normal(size=64_000).astype(np.float32) * 0.1
    spans = word_spans(aligner, Recording("n", 4.0, lambda: noise), "A dog ran home.")
    assert spans is not None and len(spans) == 4
    edges = [edge for span in spans for edge in span]
    assert edges == sorted(edges) and edges[0] == 0 and edges[-1] <= 4
    assert word_spans(aligner, Recording("l", 31.0, lambda: noise), "A dog") is None


def test_a_recogniser_that_is_no_whisper_is_told_with_its_key(tmp_path: Path) -> None:
    for folder in (save_llama(tmp_path / "llm", byte_level_tokenizer()), tmp_path):
        with pytest.raises(StudyError, match=r"mechanism[.]attributions[.]timing: 'parakeet'"):
            word_finder(folder, "parakeet")


def test_what_cannot_work_is_told() -> None:
    def opened(**words: object) -> dict[str, object]:
        section = {"models": ["mini-speech-llm"], "attributions": {"tasks": ["sst2"], "asr": "whisper-base"} | words}
        return changed(mechanism=section, tasks=["sst2", "trivia_qa"], noise=None)

    assert one_line(opened(tasks=["trivia_qa"])).startswith("mechanism.attributions.tasks: trivia_qa has free answers")
    assert one_line(opened(asr="parakeet-tdt-0.6b-v3")).startswith("mechanism.attributions.asr: there is no recogniser")
    assert one_line(opened(asr="oracle")).startswith("mechanism.attributions.asr: there is no recogniser")
    assert one_line(opened(timing="smollm2-135m-instruct")).startswith("mechanism.attributions.timing: ")
    assert any("mechanism.attributions.voice" in line for line in lines_of(opened(voice="us-male")))
    study = Study(load_study(opened(), ROOT))
    assert len(stage.all_files(study)) == 1
    # Whether what is heard is kept, the batch, and over how many jobs answers are split make nothing again.
    running = {"device": "cpu", "keep_heard": "never", "batch_size": 3, "shares": {"base-smollm2": 2}}
    other = Study(load_study(opened() | {"answer": running}, ROOT))
    assert stage.params(study, "mini-speech-llm", "sst2") == stage.params(other, "mini-speech-llm", "sst2")
