"""The token-mixture connector: what it merges, what it may look at, and what it refuses. Weights here are random."""

import itertools
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_llm import byte_level_tokenizer, save_llama
from tiny_models import build_llama, build_whisper
from tiny_ultravox import save_ultravox, weights_of

from cascade_equivalence.connector.export import read_weights, write_connector
from cascade_equivalence.errors import StudyError
from cascade_equivalence.models.question import SpeechFiles
from cascade_equivalence.models.speech_llm.connector import (
    ConnectorShape,
    TokenMixtureConnector,
    build,
    rotate,
    tokenizer_hash,
)
from cascade_equivalence.models.speech_llm.model import open_speech_llm
from cascade_equivalence.models.text_llm import TextLLM

WORDS = 7
SHAPE = ConnectorShape(
    stack_factor=4, outputs=2, width=16, blocks=2, heads=2, reach=3, hidden=12, vocabulary=WORDS, tokenizer="abc"
)


def connector(seed: int = 0) -> TokenMixtureConnector:
    torch.manual_seed(seed)
    made = TokenMixtureConnector(SHAPE, encoder_width=6, text_width=10)
    for block in made.blocks:
        # They start as the identity; here they must do something.
        torch.nn.init.normal_(block.out.weight, std=0.5)
        torch.nn.init.normal_(block.gated.down.weight, std=0.5)
    made.tokens = torch.arange(2, 2 + 2 * WORDS, 2, dtype=torch.int32)
    made.attach(torch.randn(20, 10))
    return made.eval()


def test_only_distance_counts_in_rotary_positions() -> None:
    torch.manual_seed(0)
    query, key = torch.randn(1, 1, 1, 8), torch.randn(1, 1, 1, 8)
    queries, keys = rotate(query.expand(1, 1, 12, 8)), rotate(key.expand(1, 1, 12, 8))
    scores = (queries @ keys.transpose(-1, -2))[0, 0]
    for distance in range(-5, 6):
        diagonal = torch.diagonal(scores, distance)
        torch.testing.assert_close(diagonal, diagonal[:1].expand_as(diagonal), atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(queries.norm(dim=-1), query.norm(dim=-1).expand(1, 1, 12))


def test_company_and_what_stands_behind_a_clip_change_nothing() -> None:
    made, frames = connector(), torch.tensor([40, 17, 30])
    torch.manual_seed(1)
    states = torch.randn(3, 40, 6)
    vectors, counts = made(states, frames)
    noise = states.clone()
    for row, length in zip(noise, frames.tolist(), strict=True):
        row[length:] = 99.0
    for index, length in enumerate(frames.tolist()):
        alone, count = made(states[index : index + 1, :length], frames[index : index + 1])
        behind, same = made(noise[index : index + 1], frames[index : index + 1])
        own = vectors[index, : counts[index]]
        assert count.tolist() == same.tolist() == [len(own)]
        torch.testing.assert_close(alone[0, : count[0]], own, atol=1e-5, rtol=1e-4)
        torch.testing.assert_close(behind[0, : count[0]], own, atol=1e-5, rtol=1e-4)


def test_a_frame_sees_its_reach_and_no_further() -> None:
    made = connector()
    states = torch.randn(1, 4 * 30, 6)
    changed = states.clone()
    changed[:, :4] += 1.0  # the first connector frame
    frames = torch.tensor([120])
    difference = (made.scores(states, frames)[0] - made.scores(changed, frames)[0]).abs().amax(-1)[0]
    far = (1 + SHAPE.reach * SHAPE.blocks) * SHAPE.outputs
    assert difference[:2].min() > 1e-4 and difference[far:].max() == 0.0


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(0, WORDS), min_size=1, max_size=14))
def test_runs_become_one_vector_and_blanks_none(said: list[int]) -> None:
    made = connector()
    logits = torch.full((1, len(said), WORDS + 1), -30.0)
    logits[0, torch.arange(len(said)), torch.tensor(said)] = 30.0
    vectors, counts, classes = made.mix(logits, torch.tensor([len(said)]))
    collapsed = [label for label, _ in itertools.groupby(said) if label != WORDS]
    assert int(counts[0]) == max(1, len(collapsed))
    if collapsed:
        assert classes[0].tolist() == collapsed
        torch.testing.assert_close(vectors[0], made.table[collapsed], atol=1e-4, rtol=1e-4)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 1000))
def test_a_vector_lies_among_the_tokens(seed: int) -> None:
    made = connector()
    torch.manual_seed(seed)
    vectors, counts, _ = made.mix(torch.randn(2, 9, WORDS + 1), torch.tensor([9, 4]))
    low, high = made.table.amin(0), made.table.amax(0)
    for row, count in zip(vectors, counts.tolist(), strict=True):
        assert 1 <= count <= 9
        assert (row[:count] >= low - 1e-5).all() and (row[:count] <= high + 1e-5).all()


def test_some_classes_score_as_they_do_among_all() -> None:
    made, some = connector(), torch.tensor([5, 0, 3])
    states, frames = torch.randn(2, 24, 6), torch.tensor([24, 20])
    everything, counts = made.scores(states, frames)
    few, same = made.scores(states, frames, some)
    torch.testing.assert_close(few, everything[..., [5, 0, 3, WORDS]])
    assert counts.tolist() == same.tolist() == [12, 10]


def test_embeddings_of_another_text_model_are_refused() -> None:
    made = connector()
    for wrong in (torch.randn(20, 9), torch.randn(9, 10)):
        with pytest.raises(StudyError, match=r"text model of width 10 with more than 14 tokens"):
            made.attach(wrong)


def test_a_section_of_another_kind_is_refused() -> None:
    with pytest.raises(StudyError, match=r"connector"):
        build({**SHAPE.model_dump(), "kind": "perceiver"}, 6, 10)
    with pytest.raises(StudyError, match=r"connector"):
        build({"kind": "token-mixture"}, 6, 10)


def test_what_is_written_is_read_again(tmp_path: Path) -> None:
    made = connector()
    write_connector(made, {"audio_model_id": "a/b", "text_model_id": None}, tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    again = build(config["connector"], 6, 10)
    again.load_state_dict(read_weights(tmp_path))
    assert again.tokens.tolist() == made.tokens.tolist() and config["audio_model_id"] == "a/b"
    for name, weight in made.named_parameters():
        torch.testing.assert_close(dict(again.named_parameters())[name], weight, atol=2e-3, rtol=2e-3)


def test_a_checkpoint_of_ours_opens_around_its_own_text_model_only(tmp_path: Path) -> None:
    text = TextLLM(save_llama(tmp_path / "llm", byte_level_tokenizer()), "cpu", torch.float32, chat=True)
    audio = build_whisper(tmp_path / "whisper", 1)
    clip = np.sin(np.arange(16_000) / 7).astype(np.float32)
    for tokenizer, fits in ((tokenizer_hash(text.tokenizer), True), ("another", False)):
        made = TokenMixtureConnector(SHAPE.model_copy(update={"tokenizer": tokenizer}), 16, 64)
        made.tokens = torch.arange(WORDS, dtype=torch.int32)
        write_connector(made, {"audio_model_id": "a", "text_model_id": "b"}, tmp_path / tokenizer)
        files = SpeechFiles(tmp_path / tokenizer, "r", audio, "a")
        if not fits:
            with pytest.raises(StudyError, match=r"tokens of another text model"):
                open_speech_llm(files, text, "cpu", torch.float32)
            continue
        model = open_speech_llm(files, text, "cpu", torch.float32)
        assert model.leading_space
        (row,), (heard,) = model.rows(["Say: <|audio|>."], [clip])
        assert len(heard) == len(model.audio_positions(row)) > 0 and heard.shape[1] == 64
        half = open_speech_llm(files, text, "cpu", torch.bfloat16).rows(["Say: <|audio|>."], [clip])[1][0]
        assert half.isfinite().all() and half.shape[1] == 64
    narrow = TextLLM(build_llama(tmp_path / "narrow", 3), "cpu", torch.float32, chat=True)
    with pytest.raises(StudyError, match=r"width"):
        open_speech_llm(SpeechFiles(tmp_path / "another", "r", audio, "a"), narrow, "cpu", torch.float32)


def test_a_checkpoint_with_a_text_llm_of_its_own_is_refused(tmp_path: Path) -> None:
    text = TextLLM(save_llama(tmp_path / "llm", byte_level_tokenizer()), "cpu", torch.float32, chat=True)
    folder = save_ultravox(tmp_path / "tuned", {**weights_of(), "language_model.lm_head.weight": torch.zeros(2, 2)})
    with pytest.raises(StudyError, match=r"ships a text LLM of its own"):
        open_speech_llm(SpeechFiles(folder, "r"), text, "cpu", torch.float32)
