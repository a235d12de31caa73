"""Captured states are those that the model computes, on disk in the order of their index."""

from functools import partial
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from tiny_llm import Parrot, byte_level_tokenizer, save_llama
from tiny_whisper import save_whisper

from cascade_equivalence.config.layers import spread_layers
from cascade_equivalence.config.mechanism import StatesConfig
from cascade_equivalence.errors import StudyError
from cascade_equivalence.mechanism.capture import (
    HeardUtterance,
    StateWriter,
    capture_speech_llm,
    capture_whisper,
    shuffle_weights,
)
from cascade_equivalence.mechanism.readings import draw_readings
from cascade_equivalence.mechanism.states import States, StatesWriter, pooled, read_index
from cascade_equivalence.mechanism.utterances import TaskClips, draw_utterances
from cascade_equivalence.models.question import Question
from cascade_equivalence.models.recording import Recording
from cascade_equivalence.models.speech_llm.model import PLACEHOLDER, SpeechLLM
from cascade_equivalence.models.text_llm import TextLLM
from cascade_equivalence.models.transcription.engines import TorchEncoder
from cascade_equivalence.models.transcription.features import window

TEXTS = ["The goalkeeper saved two penalties.", "A dog ran.", "Paris is the capital city of France.", "Sports."]
SHOTS = ({"role": "user", "content": "Story: A dog ran over the long bridge."}, {"role": "assistant", "content": "no"})
LAYERS = [0, 1]


def recording(index: int, samples: int = 1600) -> Recording:
    return Recording(f"{index}", samples / 16000, partial(np.full, samples, index, dtype=np.float32))


def asked() -> list[HeardUtterance]:
    """Two utterances in a long prompt, two in a short one."""
    return [
        HeardUtterance(
            place,
            Question(
                (*(SHOTS if place < 2 else ()), {"role": "user", "content": f"Story: {PLACEHOLDER}"}),
                "It is",
                {},
                recording(place),
            ),
        )
        for place in range(4)
    ]


def table(count: int) -> pl.DataFrame:
    return pl.DataFrame({"task": ["t"] * count, "id": [f"i{n}" for n in range(count)], "voice": ["v"] * count})


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> SpeechLLM:
    text = TextLLM(save_llama(tmp_path_factory.mktemp("llm"), byte_level_tokenizer()), "cpu", torch.float32, chat=True)
    return SpeechLLM(Parrot(text, TEXTS), text)


def captured(model: SpeechLLM, folder: Path, **settings: object) -> tuple[pl.DataFrame, dict[int, States]]:
    files = {layer: folder / f"layer{layer}.safetensors" for layer in LAYERS}
    with StateWriter(files, folder / "index.parquet", table(4), {"model": "m"}) as sink:
        capture_speech_llm(model, asked(), StatesConfig.model_validate(settings), sink, "tiny")
    states = {layer: States(path) for layer, path in files.items()}
    return read_index(folder / "index.parquet", *states.values()), states


def own_states(model: SpeechLLM, heard: HeardUtterance) -> tuple[list[int], tuple[torch.Tensor, ...]]:
    """The states of one prompt as the transformers library gives them, all columns; layer l is place l + 1."""
    question = heard.question
    prompt = model.text.render(question.messages, question.answer_prefix)
    (row,), (vectors,) = model.rows([prompt], [question.audio.decode()])  # type: ignore[union-attr]
    words = model.text.model.get_input_embeddings()(torch.tensor([row]).clamp(min=0))
    words[0, model.audio_positions(row)] = vectors
    with torch.no_grad():
        found = model.text.model.base_model(inputs_embeds=words, output_hidden_states=True)
    return row, found.hidden_states


@pytest.mark.parametrize("positions", ["audio", "all"])
@pytest.mark.parametrize("batch_size", [1, 3])
def test_states_are_those_of_a_plain_forward_pass(
    positions: str, batch_size: int, model: SpeechLLM, tmp_path: Path
) -> None:
    index, states = captured(model, tmp_path, positions=positions, batch_size=batch_size)
    assert sorted(index["utterance"]) == [0, 1, 2, 3]
    for row in index.iter_rows(named=True):
        tokens, expected = own_states(model, asked()[row["utterance"]])
        places = model.audio_positions(tokens)
        found = states[0].part(row["start"], row["start"] + row["frames"])
        wanted = expected[1][0] if positions == "all" else expected[1][0][places]
        torch.testing.assert_close(found, wanted, atol=2e-5, rtol=1e-4)
        first = row["audio_start"] + (places[0] if positions == "audio" else 0)
        assert list(range(first, first + row["audio_frames"])) == places


def test_the_last_layer_is_before_the_final_norm(model: SpeechLLM, tmp_path: Path) -> None:
    index, states = captured(model, tmp_path)
    row = index.row(0, named=True)
    tokens, expected = own_states(model, asked()[row["utterance"]])
    found = model.final_norm(states[1].part(row["start"], row["start"] + row["frames"]))
    # The library's last hidden state is normed already.
    torch.testing.assert_close(found, expected[-1][0][model.audio_positions(tokens)], atol=2e-5, rtol=1e-4)


def test_nothing_stays_in_the_model(model: SpeechLLM, tmp_path: Path) -> None:
    def hooks() -> list[int]:
        return [len(module._forward_hooks) for module in model.text.model.modules()]

    before = hooks()
    captured(model, tmp_path)
    assert hooks() == before


def test_a_failed_capture_leaves_no_file(model: SpeechLLM, tmp_path: Path) -> None:
    with (
        pytest.raises(RuntimeError, match="on purpose"),
        StateWriter({0: tmp_path / "l.safetensors"}, tmp_path / "i.parquet", table(1), {}) as sink,
    ):
        sink.states(0, torch.zeros(2, 4))
        raise RuntimeError("on purpose")
    assert list(tmp_path.iterdir()) == []


def test_whisper_is_watched_on_its_sound(tmp_path: Path) -> None:
    encoder = TorchEncoder(save_whisper(tmp_path / "w", multilingual=False), "cpu", torch.float32)
    heard = [recording(0, 16_000), recording(1, 5_000), recording(2, 480_000)]
    with StateWriter({0: tmp_path / "0.safetensors"}, tmp_path / "i.parquet", table(3), {}) as sink:
        capture_whisper(encoder, heard, StatesConfig(batch_size=2), sink, "whisper")
    states = States(tmp_path / "0.safetensors")
    index = read_index(tmp_path / "i.parquet", states)
    assert index["frames"].to_list() == [50, 16, 1500]
    model = encoder.model.encoder
    for row, sound in zip(index.iter_rows(named=True), heard, strict=True):
        mel = window([sound.decode()], 80)
        with torch.no_grad():
            hidden = torch.nn.functional.gelu(model.conv2(torch.nn.functional.gelu(model.conv1(mel)))).permute(0, 2, 1)
            expected = model.blocks[0](hidden + model.positional_embedding)[0, : row["frames"]]
        torch.testing.assert_close(
            states.part(row["start"], row["start"] + row["frames"]), expected, atol=1e-4, rtol=1e-3
        )


def test_shuffled_weights_keep_their_sizes_and_lose_their_order() -> None:
    torch.manual_seed(0)
    blocks = [torch.nn.Linear(8, 8) for _ in range(2)]
    before = [parameter.detach().clone() for block in blocks for parameter in block.parameters()]
    shuffle_weights(blocks, 1)
    after = [parameter.detach() for block in blocks for parameter in block.parameters()]
    for old, new in zip(before, after, strict=True):
        assert torch.equal(old.flatten().sort().values, new.flatten().sort().values) and not torch.equal(old, new)


@settings(max_examples=30, deadline=None)
@given(
    sizes=st.lists(st.integers(1, 40), min_size=1, max_size=6),
    dtype=st.sampled_from([torch.float32, torch.bfloat16, torch.float16]),
    rows=st.integers(1, 50),
)
def test_what_is_written_is_read(
    sizes: list[int], dtype: torch.dtype, rows: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("s") / "layer.safetensors"
    parts = [torch.randn(size, 5).to(dtype) for size in sizes]
    with StatesWriter(path, 5, dtype, {"model": "m"}) as writer:
        for part in parts:
            writer.add(part)
    states = States(path)
    assert torch.equal(torch.cat([part for _, part in states.chunks(rows)]), torch.cat(parts))
    assert states.about == {"model": "m"} and (states.rows, states.width) == (sum(sizes), 5)
    starts = np.cumsum([0, *sizes[:-1]])
    index = pl.DataFrame({"start": starts, "frames": sizes})
    means = np.stack([part.double().mean(0).numpy() for part in parts])
    np.testing.assert_allclose(pooled(states, index), means, atol=1e-12)


def test_an_index_of_other_states_is_refused(tmp_path: Path) -> None:
    with StatesWriter(tmp_path / "s", 2, torch.float32, {}) as writer:
        writer.add(torch.zeros(3, 2))
    pl.DataFrame({"frames": [2]}).write_parquet(tmp_path / "i")
    with pytest.raises(StudyError, match="capture them again"):
        read_index(tmp_path / "i", States(tmp_path / "s"))
    (tmp_path / "broken").write_bytes(b"\0" * 20)
    with pytest.raises(StudyError, match="remove it and run again"):
        States(tmp_path / "broken")


@given(blocks=st.integers(1, 200))
def test_layers_are_few_ascending_and_end_with_the_last(blocks: int) -> None:
    layers = spread_layers(blocks)
    assert layers == sorted(set(layers)) and layers[0] == 0 and layers[-1] == blocks - 1 and len(layers) <= 9
    steps = np.diff(layers)
    assert len(set(steps[:-1].tolist())) <= 1 and (len(steps) == 0 or steps[-1] <= steps[0])


def test_the_paper_looks_at_nine_of_32_blocks() -> None:
    assert spread_layers(32) == [0, 4, 8, 12, 16, 20, 24, 28, 31]


def spoken(count: int) -> TaskClips:
    clips = {(voice, f"i{n}"): (f"text {n}", 1.0, f"{voice}{n}") for voice in ("a", "b") for n in range(count)}
    return TaskClips("t", ["a", "b"], clips)


@given(count=st.integers(4, 60), more=st.integers(0, 20), seed=st.integers(0, 5))
def test_utterances_are_items_in_turn_split_by_item(count: int, more: int, seed: int) -> None:
    drawn = draw_utterances([spoken(60)], count, 0.25, seed)
    assert drawn.height == count and drawn["id"].n_unique() == count
    assert abs(drawn["voice"].to_list().count("a") - count / 2) <= 0.5
    for (voice,), own in drawn.group_by("voice"):
        tests = own["split"].to_list().count("test")
        assert abs(tests - 0.25 * own.height) <= 0.75 and 0 < tests < own.height, voice
    # More items keep those that were there, in their voices.
    larger = draw_utterances([spoken(60)], min(60, count + more), 0.25, seed)
    assert larger.head(count).select("id", "voice").equals(drawn.select("id", "voice"))


@given(counts=st.lists(st.integers(1, 40), min_size=2, max_size=5), seed=st.integers(0, 5))
def test_the_order_of_tests_in_a_voice_depends_on_its_own_items_alone(counts: list[int], seed: int) -> None:
    def alone(voice: int) -> TaskClips:
        clips = {(str(voice), f"{n}"): ("text", 1.0, "hash") for n in range(counts[voice])}
        return TaskClips(f"task {voice}", [str(voice)], clips)

    if max(counts) < 2:
        return
    drawn = draw_utterances([alone(voice) for voice in range(len(counts))], 40, 0.2, seed)
    for voice, count in enumerate(counts):
        mine = drawn.filter(voice=str(voice))
        if count > 1:
            assert mine.equals(draw_utterances([alone(voice)], 40, 0.2, seed))
        else:
            assert mine["split"].to_list() == ["train"]


@given(count=st.integers(4, 60), texts=st.integers(2, 60), seed=st.integers(0, 5))
def test_every_voice_speaks_each_item_and_no_text_both_trains_and_tests(count: int, texts: int, seed: int) -> None:
    """Some texts are those of several items, and stay together with all their readings."""
    clips = {key: (f"text {int(key[1][1:]) % texts}", *rest) for key, (_, *rest) in spoken(60).clips.items()}
    alone = draw_utterances([TaskClips("t", ["a"], clips)], count, 0.25, seed)
    assume(alone["text"].n_unique() > 1)
    drawn = draw_readings([TaskClips("t", ["a", "b"], clips)], count, 0.25, seed)
    for voice in ("a", "b"):
        assert drawn.filter(voice=voice)["id"].to_list() == alone["id"].to_list()
    splits = drawn.group_by("text").agg(pl.col("split").unique())
    assert (splits["split"].list.len() == 1).all()
    tests = splits["split"].list.first().to_list().count("test")
    assert abs(tests - 0.25 * splits.height) <= 0.75 and 0 < tests < splits.height


def test_too_few_utterances_are_refused() -> None:
    with pytest.raises(StudyError, match="per_task"):
        draw_utterances([spoken(1)], 5, 0.2, 0)
    with pytest.raises(StudyError, match="per_task"):
        draw_readings([spoken(1)], 5, 0.2, 0)
    broken = TaskClips("t", ["a", "b"], {("a", "i1"): ("x", 1.0, "h"), ("a", "i2"): ("x", 1.0, "h")})
    for draw in (draw_utterances, draw_readings):
        with pytest.raises(StudyError, match="voice b does not speak"):
            draw([broken], 2, 0.5, 0)
