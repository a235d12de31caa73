"""A speech LLM is its text LLM reading vectors: to the vectors of words it says what it says to the words."""

from collections.abc import Sequence

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tiny_llm import Parrot, byte_level_tokenizer, save_llama

from cascade_equivalence.errors import StudyError
from cascade_equivalence.models.rows import AUDIO, common_prefix, left_padded, write_audio
from cascade_equivalence.models.speech_llm.model import PLACEHOLDER, SpeechLLM
from cascade_equivalence.models.speech_llm.preflight import preflight
from cascade_equivalence.models.text_llm import TextLLM
from cascade_equivalence.vocabulary import AUDIO_PLACEHOLDER

TEXTS = ["The goalkeeper saved two penalties.", "A dog ran over the long bridge and home.", "Paris."]
PROMPT = f"Read the news story and name its topic.\nStory: {PLACEHOLDER}\nThe topic is"


def clip(index: int) -> np.ndarray:
    return np.full(1600, index, dtype=np.float32)


@pytest.fixture(scope="module")
def text(tmp_path_factory: pytest.TempPathFactory) -> TextLLM:
    folder = save_llama(tmp_path_factory.mktemp("llm"), byte_level_tokenizer())
    return TextLLM(folder, "cpu", torch.float32, chat=True)


@pytest.fixture(scope="module")
def model(text: TextLLM) -> SpeechLLM:
    return SpeechLLM(Parrot(text, TEXTS), text)


def text_rows(text: TextLLM) -> list[list[int]]:
    before, after = PROMPT.split(PLACEHOLDER)
    return [[*text.tokenize(before), *text.tokenize(said), *text.tokenize(after)] for said in TEXTS]


def test_the_placeholder_is_the_one_that_prompts_hold() -> None:
    assert PLACEHOLDER == AUDIO_PLACEHOLDER


def test_vectors_of_words_are_answered_as_the_words(model: SpeechLLM) -> None:
    rows, heard = model.rows([PROMPT] * 3, [clip(n) for n in range(3)])
    spoken = model.text.generate(rows, 12, heard=heard)
    assert spoken == model.text.generate(text_rows(model.text), 12)


def test_vectors_of_words_are_as_likely_to_be_followed_as_the_words(model: SpeechLLM) -> None:
    rows, heard = model.rows([PROMPT] * 3, [clip(n) for n in range(3)])
    ends = [model.text.tokenize(" sports"), model.text.tokenize(" business or")]
    for row, own, same in zip(rows, heard, text_rows(model.text), strict=True):
        found = model.text.log_likelihoods(row, ends, heard=[own])
        assert found == pytest.approx(model.text.log_likelihoods(same, ends), abs=1e-4)


def test_a_shared_prefix_and_company_change_nothing(model: SpeechLLM) -> None:
    rows, heard = model.rows([PROMPT] * 3, [clip(n) for n in range(3)])
    prefix = common_prefix(rows)
    assert AUDIO not in rows[0][:prefix] and prefix == rows[0].index(AUDIO)
    together = model.text.generate(rows, 8, prefix, model.text.prefix_cache(rows[0][:prefix]), heard)
    alone = [model.text.generate([row], 8, heard=[own])[0] for row, own in zip(rows, heard, strict=True)]
    assert together == alone


def test_positions_are_where_the_sound_stands(model: SpeechLLM) -> None:
    (row,), (heard,) = model.rows([PROMPT], [clip(1)])
    at = model.audio_positions(row)
    assert len(at) == len(heard) and at == list(range(at[0], at[0] + len(at)))
    before, after = PROMPT.split(PLACEHOLDER)
    assert row[: at[0]] == model.text.tokenize(before) and row[at[-1] + 1 :] == model.text.tokenize(after)


def test_a_connector_with_the_space_takes_it_from_the_prompt(text: TextLLM) -> None:
    (with_space,), _ = SpeechLLM(Parrot(text, TEXTS), text, leading_space=True).rows([PROMPT], [clip(0)])
    assert with_space[: with_space.index(AUDIO)] == text.tokenize(PROMPT.split(PLACEHOLDER, maxsplit=1)[0][:-1])


@pytest.mark.parametrize("prompt", ["no sound", f"{PLACEHOLDER} and {PLACEHOLDER}"])
def test_the_placeholder_must_stand_once(prompt: str, model: SpeechLLM) -> None:
    with pytest.raises(StudyError, match=r"once"):
        model.rows([prompt], [clip(0)])


def test_blocks_norm_and_unembedding_are_those_of_the_logits(model: SpeechLLM) -> None:
    assert model.capabilities.hidden_states
    ids = torch.tensor([model.text.tokenize(TEXTS[1])])
    kept: list[torch.Tensor] = []
    hook = model.blocks[-1].register_forward_hook(
        lambda _module, _inputs, output: kept.append(output[0] if isinstance(output, tuple) else output)
    )
    with torch.no_grad():
        logits = model.text.model(input_ids=ids).logits
        hook.remove()
        again = model.unembedding(model.final_norm(kept[0]))
    assert len(model.blocks) == model.text.model.config.num_hidden_layers
    torch.testing.assert_close(again, logits)


def test_the_preflight_tells_what_was_heard(model: SpeechLLM) -> None:
    record = preflight(model, [clip(0), clip(1)], TEXTS[:2], PROMPT)
    assert record["vectors"] == [len(model.text.tokenize(said)) for said in TEXTS[:2]]
    assert record["words_moved_by_batching"] == 0


def test_the_preflight_refuses_a_model_that_does_not_hear(text: TextLLM) -> None:
    class Deaf(Parrot):
        def embed(self, audios: Sequence[np.ndarray]) -> list[torch.Tensor]:
            return [super(Deaf, self).embed([clip(0)])[0] for _ in audios]

    with pytest.raises(StudyError, match=r"does not hear"):
        preflight(SpeechLLM(Deaf(text, TEXTS), text), [clip(0), clip(1)], TEXTS[:2], PROMPT)


def test_the_preflight_refuses_numbers_that_overflow(text: TextLLM) -> None:
    class Loud(Parrot):
        def embed(self, audios: Sequence[np.ndarray]) -> list[torch.Tensor]:
            return [vectors * torch.inf for vectors in super().embed(audios)]

    with pytest.raises(StudyError, match=r"not finite"):
        preflight(SpeechLLM(Loud(text, TEXTS), text), [clip(0), clip(1)], TEXTS[:2], PROMPT)


@given(st.lists(st.lists(st.integers(-1, 3), min_size=1, max_size=8), min_size=1, max_size=5))
def test_a_common_prefix_holds_no_sound(rows: list[list[int]]) -> None:
    count = common_prefix(rows)
    assert all(row[:count] == rows[0][:count] and AUDIO not in row[:count] for row in rows)
    assert count < min(map(len, rows))
    longer = {tuple(row[: count + 1]) for row in rows}
    assert len(longer) > 1 or AUDIO in next(iter(longer)) or count + 1 == min(map(len, rows))


@given(st.lists(st.lists(st.sampled_from([AUDIO, 1, 2, 3]), min_size=1, max_size=6), min_size=1, max_size=4))
def test_sound_is_written_where_it_stands_and_nowhere_else(rows: list[list[int]]) -> None:
    ids, mask, _ = left_padded(rows, 0)
    table = torch.arange(4.0)[:, None].repeat(1, 2)
    vectors = [torch.randn(row.count(AUDIO), 2) for row in rows]
    written = write_audio(table[ids.clamp(min=0)], ids, vectors)
    for row, own, line, there in zip(rows, vectors, written, mask.bool(), strict=True):
        said = iter(own)
        expected = torch.stack([next(said) if token == AUDIO else table[token] for token in row])
        torch.testing.assert_close(line[there], expected)
