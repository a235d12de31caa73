"""States put into another run: what must go over goes over, what must not does not, and nothing is read twice."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from tiny_llm import Parrot, byte_level_tokenizer, save_llama, save_recurrent

from cascade_equivalence.config.mechanism import WORD_POSITIONS
from cascade_equivalence.config.study import AnswerConfig
from cascade_equivalence.errors import StudyError
from cascade_equivalence.mechanism import patching
from cascade_equivalence.mechanism.patched_behind import common_suffix, tokens_behind
from cascade_equivalence.mechanism.patched_runs import PatchedPair, Restored, TwoWays, place_of
from cascade_equivalence.mechanism.patched_words import REVERSED, aligned, exchanged
from cascade_equivalence.mechanism.patching import restored
from cascade_equivalence.models.question import ModelFiles, Question
from cascade_equivalence.models.recording import Recording
from cascade_equivalence.models.scoring import score
from cascade_equivalence.models.speech_llm.model import PLACEHOLDER, SpeechLLM
from cascade_equivalence.models.text_llm import TextLLM

TEXTS = ["The goalkeeper saved two penalties.", "A dog ran over the long bridge and home.", "Paris.", "A cup final."]
CONFIG = AnswerConfig(dtype="float32", device="cpu", batch_size=2)
SHOT = ({"role": "user", "content": "Story: A dog ran over the long bridge."}, {"role": "assistant", "content": "no"})
# Behind a line break labels need no space before them: one byte each.
PREFIX = "The topic is\n"
LABELS = {"Sports": "s", "Business": "b"}
BLOCKS, POSITIONS = (0, 1), ("behind", "last")


@pytest.fixture
def model(tmp_path: Path) -> SpeechLLM:
    text = TextLLM(save_llama(tmp_path / "llm", byte_level_tokenizer()), "cpu", torch.float32, chat=True)
    # The space before a word is the word's in the tokenizer.
    return SpeechLLM(Parrot(text, [f" {each}" for each in TEXTS]), text, leading_space=True)


def question(number: int, heard: bool = False, labels: Mapping[str, str] = LABELS) -> Question:
    clip = Recording(str(number), 0.1, partial(np.full, 1600, number, dtype=np.float32)) if heard else None
    content = f"Story: {PLACEHOLDER if heard else TEXTS[number]}"
    return Question((*SHOT, {"role": "user", "content": content}), PREFIX, labels, clip)


def both_ways(number: int, labels: Mapping[str, str] = LABELS) -> TwoWays:
    return TwoWays(question(number, True, labels), question(number, labels=labels))


def pair(one: int, other: int, heard: bool = False, labels: Mapping[str, str] = LABELS) -> PatchedPair:
    first, second = labels
    return PatchedPair(both_ways(one, labels), both_ways(other, labels), (first, second), heard)


def arms(labels: Mapping[str, str] = LABELS) -> dict[str, list[PatchedPair]]:
    wanted = [(0, 1), (1, 0), (2, 3), (3, 2), (1, 2)]
    return {arm: [pair(*two, arm == "audio", labels) for two in wanted] for arm in ("audio", "text")}


def run(
    model: SpeechLLM,
    monkeypatch: pytest.MonkeyPatch,
    store: Path,
    asked: Mapping[str, Sequence[PatchedPair]] | None = None,
    batch_size: int = 2,
    positions: Sequence[str] = POSITIONS,
) -> dict[str, list[Restored]]:
    monkeypatch.setattr(patching, "open_model", lambda files, config: (model.text, model))
    config = CONFIG.model_copy(update={"batch_size": batch_size})
    files = ModelFiles(Path(), "r", True)
    (found,) = restored(asked or arms(), files, BLOCKS, positions, config, store, "tiny")
    return found


def silence_attention(model: SpeechLLM, block: int) -> None:
    with torch.no_grad():
        model.blocks[block].self_attn.o_proj.weight.zero_()  # type: ignore[union-attr, operator]


def shares(found: Sequence[Restored], place: str) -> list[float]:
    return [(one.patched[place] - one.target) / (one.source - one.target) for one in found]


def test_states_of_the_run_itself_change_nothing(
    model: SpeechLLM, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    same = {"text": [pair(n, n) for n in range(len(TEXTS))]}
    for one in run(model, monkeypatch, tmp_path / "s", same)["text"]:
        assert one.source == pytest.approx(one.target, abs=1e-4)
        assert all(value == pytest.approx(one.target, abs=1e-4) for value in one.patched.values())


def test_who_hears_the_very_words_carries_them_over_as_who_reads_them(
    model: SpeechLLM, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = run(model, monkeypatch, tmp_path / "s")
    for heard, read in zip(found["audio"], found["text"], strict=True):
        assert heard.source == pytest.approx(read.source, abs=1e-4)
        assert heard.patched == pytest.approx(read.patched, abs=1e-4)


def test_behind_the_last_block_the_last_token_decides_alone(
    model: SpeechLLM, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = run(model, monkeypatch, tmp_path / "s")
    for arm in found:
        for positions in POSITIONS:
            assert shares(found[arm], place_of(positions, 1)) == pytest.approx([1] * 5, abs=1e-3)


@pytest.mark.parametrize(("silent", "share"), [(0, 0.0), (1, 1.0)])
def test_an_answer_is_where_attention_has_brought_it(
    model: SpeechLLM, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, silent: int, share: float
) -> None:
    """Planted: only one block moves anything from the speech to the end of the prompt."""
    silence_attention(model, silent)
    found = run(model, monkeypatch, tmp_path / "s")
    for arm in found:
        for positions in POSITIONS:
            assert shares(found[arm], place_of(positions, 0)) == pytest.approx([share] * 5, abs=1e-3)


def test_only_the_prompt_is_patched(model: SpeechLLM, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """At the last block a patch reaches a label's first token alone: no later one reads states from there."""
    labels = {"Sports": "sport of all kinds", "Business": "bus"}
    asked = {"text": arms(labels)["text"]}
    found = run(model, monkeypatch, tmp_path / "s", asked)["text"]
    text = model.text
    for two, one in zip(asked["text"], found, strict=True):
        first = {}
        for side in ("source", "target"):
            row = text.tokenize(text.render(getattr(two, side).messages, PREFIX))
            tokens = text.continuations(row, list(labels.values()))
            assert max(map(len, tokens)) > 1
            log_probabilities = score(text, [row], [tokens]).first[0]
            first[side] = float(log_probabilities[tokens[0][0]] - log_probabilities[tokens[1][0]])
        assert one.patched["last/1"] - one.target == pytest.approx(first["source"] - first["target"], abs=1e-3)


def test_company_and_batches_change_nothing(model: SpeechLLM, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    alone = run(model, monkeypatch, tmp_path / "one", batch_size=1)
    together = run(model, monkeypatch, tmp_path / "all", batch_size=5)
    for arm in alone:
        for one, other in zip(alone[arm], together[arm], strict=True):
            assert (one.source, one.target) == pytest.approx((other.source, other.target), abs=1e-4)
            assert one.patched == pytest.approx(other.patched, abs=1e-4)


def test_what_is_stored_is_not_computed_again(
    model: SpeechLLM, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = arms()
    some = {arm: pairs[:2] for arm, pairs in asked.items()}
    first = run(model, monkeypatch, tmp_path / "s", some)
    both = run(model, monkeypatch, tmp_path / "s", asked)
    assert {arm: found[:2] for arm, found in both.items()} == first
    lines = (tmp_path / "s").read_bytes().splitlines()
    # And of each set of prompts how long an end they share.
    assert len(lines) == sum(map(len, asked.values())) + 2
    monkeypatch.setattr(model.encoder, "embed", None)
    assert run(model, monkeypatch, tmp_path / "s", asked) == both
    # Another label is another question.
    other = {"text": [replace(asked["text"][0], labels=("Business", "Sports"))]}
    swapped = run(model, monkeypatch, tmp_path / "s", other)["text"][0]
    assert swapped.source == pytest.approx(-both["text"][0].source, abs=1e-4)


def test_only_tokens_behind_the_speech_are_exchanged(model: SpeechLLM) -> None:
    """All texts end in a full stop, which is speech and stays."""
    pairs = [two for own in arms().values() for two in own]
    behind = tokens_behind(model, pairs)
    prompt = model.text.render(pairs[0].source.messages, PREFIX)
    assert behind == len(model.text.tokenize(prompt.rsplit(PLACEHOLDER, maxsplit=1)[1]))
    typed = [two for two in pairs if not two.heard]
    assert tokens_behind(model, typed) == behind + 1


def test_words_around_the_sound_are_tokens_of_the_prompt(model: SpeechLLM, monkeypatch: pytest.MonkeyPatch) -> None:
    """A tab behind the sound is one token with the tab that follows it: that token is not in what is typed."""

    class Marked(SpeechLLM):
        def _row(self, prompt: str, vectors: int) -> list[int]:
            return super()._row(prompt.replace(PLACEHOLDER, f"{PLACEHOLDER}\t"), vectors)

    tokenize = model.text.tokenize
    monkeypatch.setattr(model.text, "tokenize", lambda prompt: tokenize(prompt.replace("\t\t", "#")))

    def going_on(asked: Question) -> Question:
        *before, last = asked.messages
        return replace(asked, messages=(*before, {"role": "user", "content": f"{last['content']}\tWhich?"}))

    def each(item: TwoWays) -> TwoWays:
        return TwoWays(going_on(item.heard), going_on(item.typed))

    pairs = [replace(two, one=each(two.one), other=each(two.other)) for two in arms()["audio"]]
    marked = Marked(model.encoder, model.text, leading_space=True)
    assert tokens_behind(marked, pairs) == tokens_behind(model, pairs) - 1


def test_more_pairs_that_share_a_shorter_end_make_the_others_anew(
    model: SpeechLLM, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is exchanged in a pair depends on the end that all prompts share: here on a full stop."""
    some = arms()["text"][:2]
    open_ended = replace(question(0), messages=({"role": "user", "content": "Story: A cup final"},))
    asked = {"text": [*some, replace(pair(0, 1), one=TwoWays(question(0, True), open_ended))]}
    before = run(model, monkeypatch, tmp_path / "s", {"text": some})["text"]
    after = run(model, monkeypatch, tmp_path / "s", asked)["text"]
    fresh = run(model, monkeypatch, tmp_path / "fresh", asked)["text"]
    for one, other in zip(after, fresh, strict=True):
        assert one.patched == pytest.approx(other.patched, abs=1e-4)
    moved = [abs(one.patched["behind/0"] - old.patched["behind/0"]) for one, old in zip(after, before, strict=False)]
    assert max(moved) > 1e-3


@pytest.mark.parametrize("positions", [POSITIONS, ("words",), ("behind", "words")])
@pytest.mark.parametrize("asked", [{}, {"audio": [], "text": []}])
def test_where_there_is_no_pair_nothing_is_opened_and_nothing_found(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    positions: Sequence[str],
    asked: Mapping[str, Sequence[PatchedPair]],
) -> None:
    monkeypatch.setattr(patching, "open_model", None)
    assert restored(asked, ModelFiles(Path(), "r", True), BLOCKS, positions, CONFIG, tmp_path / "s", "tiny") == []


def test_prompts_without_a_common_end_are_told(model: SpeechLLM) -> None:
    two = arms()["text"][0]
    other = replace(two.other, typed=replace(two.target, answer_prefix="The topic is:"))
    with pytest.raises(StudyError, match=r"mechanism\.patching\.tasks"):
        tokens_behind(model, [replace(two, other=other)])


def test_a_model_with_a_recurrent_state_reads_the_patched_prompt_for_each_label(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = TextLLM(save_recurrent(tmp_path / "llm", byte_level_tokenizer()), "cpu", torch.float32, chat=True)
    model = SpeechLLM(Parrot(text, [f" {each}" for each in TEXTS]), text, leading_space=True)
    long = {"Sports": "sport of all kinds", "Business": "bus"}
    same = {"text": [pair(n, n, labels=long) for n in range(4)]}
    for one in run(model, monkeypatch, tmp_path / "self", same)["text"]:
        assert list(one.patched.values()) == pytest.approx([one.target] * len(one.patched), abs=1e-4)
    heard, read = run(model, monkeypatch, tmp_path / "s", arms(long)).values()
    for one, other in zip(heard, read, strict=True):
        assert one.patched == pytest.approx(other.patched, abs=1e-4)


def test_a_common_end_leaves_a_token_of_each_row() -> None:
    assert common_suffix([[1, 2, 3], [3, 2, 3]]) == 2
    assert common_suffix([[1, 2], [1, 2]]) == 1
    assert common_suffix([[-1, 5, 6], [7, 8, 6]]) == 1
    assert common_suffix([[1, 2], [1, 3]]) == 0


WORDS = place_of("words", 0), place_of("words", 1)


def test_a_word_of_the_run_itself_changes_nothing(
    model: SpeechLLM, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    same = {"text": [pair(n, n) for n in range(len(TEXTS))]}
    own = [name for name in WORD_POSITIONS if name != REVERSED]
    for one in run(model, monkeypatch, tmp_path / "s", same, positions=own)["text"]:
        assert one.source == pytest.approx(one.target, abs=1e-4)
        assert all(value == pytest.approx(one.target, abs=1e-4) for value in one.patched.values())


def test_words_that_are_heard_as_they_are_read_go_over_alike(
    model: SpeechLLM, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = run(model, monkeypatch, tmp_path / "s", positions=WORD_POSITIONS)
    moved = 0.0
    for heard, read in zip(found["audio"], found["text"], strict=True):
        assert heard.source == pytest.approx(read.source, abs=1e-4)
        assert heard.target == pytest.approx(read.target, abs=1e-4)
        assert heard.patched == pytest.approx(read.patched, abs=1e-4)
        moved = max(moved, abs(read.patched["words/0"] - read.target))
    assert moved > 1e-3


def test_a_clip_in_which_nothing_is_heard_changes_no_word(
    model: SpeechLLM, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    silence = Recording("silence", 0.1, partial(np.full, 1600, -1, dtype=np.float32))
    spoken = arms()["audio"][:2]
    silent = replace(spoken[0], one=replace(spoken[0].one, heard=replace(spoken[0].source, audio=silence)))
    found = run(model, monkeypatch, tmp_path / "s", {"audio": [silent, spoken[1]]}, positions=WORD_POSITIONS)["audio"]
    assert all(value == pytest.approx(found[0].target, abs=1e-4) for value in found[0].patched.values())
    assert abs(found[1].patched["words/0"] - found[1].target) > 1e-3


@pytest.mark.parametrize(("silent", "share"), [(0, 1.0), (1, 0.0)])
def test_an_answer_is_at_the_words_until_attention_has_brought_it_away(
    model: SpeechLLM, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, silent: int, share: float
) -> None:
    """Planted: only one block moves anything from the words; the other half of what ``behind`` shows."""
    silence_attention(model, silent)
    found = run(model, monkeypatch, tmp_path / "s", positions=["words"])
    for arm in found:
        assert shares(found[arm], WORDS[0]) == pytest.approx([share] * 5, abs=1e-3)
        # Behind the last block nobody looks at a word any more.
        assert shares(found[arm], WORDS[1]) == pytest.approx([0] * 5, abs=1e-3)


def test_half_of_the_words_are_patched_and_the_others_stay(
    model: SpeechLLM, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Planted: only the second block looks back, with one weight for all columns, so that halves add up in it."""
    silence_attention(model, 0)
    with torch.no_grad():
        model.blocks[1].self_attn.q_proj.weight.zero_()  # type: ignore[union-attr, operator]
        # The answer is what attention brings, as it is.
        model.blocks[1].mlp.down_proj.weight.zero_()  # type: ignore[union-attr, operator]
    one_word = {"text": [pair(2, 3)]}
    (alone,) = run(model, monkeypatch, tmp_path / "s", one_word, positions=WORD_POSITIONS)["text"]
    assert alone.patched["first_half/0"] == pytest.approx(alone.patched["words/0"], abs=1e-4)
    assert alone.patched["second_half/0"] == pytest.approx(alone.target, abs=1e-4)
    (longer,) = run(model, monkeypatch, tmp_path / "s", {"text": [pair(1, 0)]}, positions=WORD_POSITIONS)["text"]
    halves = [longer.patched[f"{half}_half/0"] for half in ("first", "second")]
    assert all(abs(half - longer.target) > 1e-4 for half in halves)
    assert sum(halves) - 2 * longer.target == pytest.approx(longer.patched["words/0"] - longer.target, rel=0.1)


def test_words_in_reverse_carry_over_what_needs_no_order(
    model: SpeechLLM, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As they are, blocks tell places apart; planted: one weight for all columns, and nothing is lost in reverse."""
    places = [place_of(name, 0) for name in ("words", REVERSED)]
    two = {"text": [pair(1, 0), pair(0, 1)]}
    for one in run(model, monkeypatch, tmp_path / "as-it-is", two, positions=["words", REVERSED])["text"]:
        assert abs(one.patched[places[0]] - one.patched[places[1]]) > 1e-4
    with torch.no_grad():
        model.blocks[1].self_attn.q_proj.weight.zero_()  # type: ignore[union-attr, operator]
    moved = 0.0
    for one in run(model, monkeypatch, tmp_path / "blind", two, positions=["words", REVERSED])["text"]:
        assert one.patched[places[0]] == pytest.approx(one.patched[places[1]], abs=1e-4)
        moved = max(moved, abs(one.patched[places[0]] - one.target))
    assert moved > 1e-3


def test_company_and_batches_change_no_word(model: SpeechLLM, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    alone = run(model, monkeypatch, tmp_path / "one", batch_size=1, positions=WORD_POSITIONS)
    together = run(model, monkeypatch, tmp_path / "all", batch_size=5, positions=WORD_POSITIONS)
    for arm in alone:
        for one, other in zip(alone[arm], together[arm], strict=True):
            assert one.patched == pytest.approx(other.patched, abs=1e-4)


def test_words_are_asked_for_beside_what_is_stored(
    model: SpeechLLM, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = run(model, monkeypatch, tmp_path / "s")
    files = ModelFiles(Path(), "r", True)
    both = restored(arms(), files, BLOCKS, [*POSITIONS, "words"], CONFIG, tmp_path / "s", "tiny")
    assert both[0] == before
    assert both[1] == run(model, monkeypatch, tmp_path / "fresh", positions=["words"])
    monkeypatch.setattr(patching, "open_model", None)
    assert restored(arms(), files, BLOCKS, [*POSITIONS, "words"], CONFIG, tmp_path / "s", "tiny") == both


def test_a_recurrent_model_reads_patched_words_for_each_label(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = TextLLM(save_recurrent(tmp_path / "llm", byte_level_tokenizer()), "cpu", torch.float32, chat=True)
    model = SpeechLLM(Parrot(text, [f" {each}" for each in TEXTS]), text, leading_space=True)
    long = {"Sports": "sport of all kinds", "Business": "bus"}
    heard, read = run(model, monkeypatch, tmp_path / "s", arms(long), positions=["words"]).values()
    assert max(abs(one.patched[WORDS[0]] - one.target) for one in read) > 1e-4
    for one, other in zip(heard, read, strict=True):
        assert one.patched == pytest.approx(other.patched, abs=1e-4)


def test_vectors_are_aligned_with_the_tokens_that_they_are_of() -> None:
    """Planted: each token is heard for one to four vectors, far off the mean of those that it was read with."""
    generator = torch.Generator().manual_seed(0)
    read = torch.randn(7, 16, generator=generator)
    often = torch.tensor([1, 4, 2, 1, 3, 2, 4])
    heard = read.repeat_interleave(often, 0) + 5
    assert torch.allclose(aligned(heard, read), read + 5, atol=1e-5)
    assert aligned(heard, read[:0]).shape == aligned(heard[:0], read).shape == (0, 16)
    assert torch.equal(aligned(heard[:1], read), heard[:1].expand(7, -1))


def test_tokens_are_exchanged_at_their_places_alone() -> None:
    assert exchanged([1, 2, 3, 4, 5], [1, 2, 4], [7, 8]) == [1, 7, 8, 4, 7]
    assert exchanged([1, 2, 3], [1], [7, 8]) == [1, 7, 3]
    assert exchanged([1, 2, 3], [1], []) == [1, 2, 3]
    assert exchanged([1, 2, 3], [], [7]) == [1, 2, 3]
