"""A voice adapter's training, on made-up clips whose style shows in their statistics and in nothing else."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch
from tiny_llm import byte_level_tokenizer, save_llama
from voice_adapters import TEXT_WIDTH, resolve_all

from cascade_equivalence.adapter import run as running
from cascade_equivalence.adapter import train as training
from cascade_equivalence.adapter.clips import VoicedClip, make_shard, read_shard
from cascade_equivalence.adapter.draws import draw_shard, near, styles_of
from cascade_equivalence.adapter.export import write_adapter
from cascade_equivalence.adapter.measure import chosen
from cascade_equivalence.adapter.plan import shards
from cascade_equivalence.config.sources import TranscriptionPrompt
from cascade_equivalence.config.study import TaskSpec
from cascade_equivalence.config.training import ConnectorSpec
from cascade_equivalence.config.voice_training import ProsodyDraws, VoiceAdapterSpec
from cascade_equivalence.connector import frames
from cascade_equivalence.connector.run import input_embeddings
from cascade_equivalence.errors import StudyError
from cascade_equivalence.models.rows import AUDIO
from cascade_equivalence.models.speech_llm.speech_adapter import adapter_off
from cascade_equivalence.models.speech_llm.voice_adapter import AdaptedText, read_voice
from cascade_equivalence.models.text_llm import TextLLM
from cascade_equivalence.speech.prosody import STYLES

torch.set_num_threads(1)

SENTENCES = ["The dog ran home.", "A topic is sports.", "The answer is London.", "Read the news story."]
WIDTH, SOURCE = 4, {"index": "pypi", "name": "texts", "version": "1", "sha256": "0" * 64, "members": ["a.txt"]}
TASKS = {
    "mustard": TaskSpec(prompt="Sincere or sarcastic?\n{speech}", answer_prefix="It is"),
    "sst2": TaskSpec(prompt="Positive or negative?\n{speech}", answer_prefix="It is"),
}


def spec(**more: object) -> VoiceAdapterSpec:
    voice = {"provider": "espeak", "name": "en-us+m1"}
    given = {
        "base": "base",
        "voiced_tasks": ["mustard"],
        "text_tasks": ["sst2"],
        "hidden": 16,
        "clips": 24,
        "plain_clips": 8,
        "shard_clips": 10,
        "evaluation_texts": 2,
        "read": "c",
        "voices": {"a": voice, "b": {**voice, "name": "en-us+f1"}},
        "evaluation_voices": {"v": {**voice, "name": "en-gb"}},
        "training": {"classifier_steps": 20, "steps": 30, "batch_size": 8, "warmup": 2, "evaluate_every": 10},
        "lora": {"rank": 4, "layers": ["q_proj", "v_proj"], "dropout": 0.0},
    }
    return VoiceAdapterSpec.model_validate({**given, **more})


READ = ConnectorSpec.model_validate(
    {
        "audio_model": "whisper",
        "text_model": "llama",
        "transcription": {"prompt": "{speech}"},
        "texts": {"sources": [SOURCE | {"format": "lines", "licence": "none"}]},
        "voices": {"a": {"share": 1, "voice": {"provider": "espeak", "name": "en-us+m1"}}},
        "evaluation_voices": ["a"],
    }
)


def made_up(count: int, seed: int) -> list[VoicedClip]:
    """Clips of either style of sarcasm, of words that say nothing of it."""
    rng = np.random.default_rng(seed)
    found = []
    for at in range(count):
        style = ("sincere", "sarcastic")[at % 2]
        sound = rng.normal(size=2 * 3 * WIDTH) + (2.0 if style == "sarcastic" else -2.0)
        words = torch.from_numpy(rng.normal(scale=0.3, size=(3 + at % 3, TEXT_WIDTH))).half()
        found.append(VoicedClip(str(at), SENTENCES[at // 2 % 4], "v", style, words, torch.from_numpy(sound).float(), 2))
    return found


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_llama(tmp_path_factory.mktemp("llm"), byte_level_tokenizer())


def prepared(folder: Path, own: VoiceAdapterSpec) -> tuple[TextLLM, training.Trained, training.TrainingPrompts]:
    text = TextLLM(folder, "cpu", torch.float32, chat=True)
    clips = made_up(24, 0)
    trained = running.new_adapter(own, text, clips, input_embeddings(text))
    training.learn_styles(trained.voice, clips, own.training.classifier_steps, own.seed)
    training.speak_softly(trained.voice, input_embeddings(text), clips)
    return text, trained, running.prompts_of(text, material(folder, {}), own)


def material(folder: Path, names: Mapping[str, Path]) -> running.AdapterMaterial:
    asked = TranscriptionPrompt(prompt='"{speech}"\nWhat was said?', answer_prefix='"')
    return running.AdapterMaterial(
        names, folder, None, folder, True, {"text_model_id": "llama"}, asked, TASKS, READ.texts
    )


def test_it_learns_what_only_the_voice_tells_and_changes_no_weight_of_the_text_llm(
    folder: Path, tmp_path: Path
) -> None:
    own = spec(training={**spec().training.model_dump(), "voiced": 1.0, "learning_rate": 1e-2, "steps": 60})
    text, trained, asked = prepared(folder, own)
    before = {name: weight.clone() for name, weight in text.model.named_parameters() if "lora_" not in name}
    held_out = {"v": made_up(16, 1)}
    training.train(trained, text, made_up(24, 0), held_out, asked, own.training, tmp_path, 1)
    after = dict(text.model.named_parameters())
    assert all(torch.equal(after[name], weight) for name, weight in before.items())
    clips = held_out["v"]
    heard = training.heard_by(trained.voice, clips)
    sound = [[AUDIO] * len(own) for own in heard]
    said = chosen(text, asked.voiced[0], sound, heard)
    assert sum(label == clip.style for label, clip in zip(said, clips, strict=True)) >= 14
    # The words alone say nothing: each comes in both styles.
    plain = [clip.words.float() for clip in clips]
    with adapter_off(text.model):
        base = chosen(text, asked.voiced[0], sound, plain)
    assert sum(label == clip.style for label, clip in zip(base, clips, strict=True)) <= 12


def test_a_run_that_was_stopped_ends_where_an_unbroken_one_does(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = spec()

    class Stopped(Exception):
        pass

    def stop(*arguments: object) -> None:
        raise Stopped

    def once(where: Path) -> dict[str, torch.Tensor]:
        text, trained, asked = prepared(folder, own)
        training.train(trained, text, made_up(24, 0), {}, asked, own.training, where, 1)
        return trained.state_dict()

    whole = once(tmp_path / "whole")
    keep = frames.keep
    with monkeypatch.context() as patch, pytest.raises(Stopped):
        patch.setattr(training, "keep", lambda *arguments: (keep(*arguments), stop()))
        once(tmp_path / "broken")
    again = once(tmp_path / "broken")
    for name, weight in whole.items():
        torch.testing.assert_close(again[name], weight, rtol=1e-4, atol=1e-5)


def test_what_is_written_is_what_was_trained(folder: Path, tmp_path: Path) -> None:
    own = spec()
    text, trained, _ = prepared(folder, own)
    torch.manual_seed(5)
    with torch.no_grad():
        for weight in trained.lora.values():
            weight.copy_(torch.randn_like(weight) * 0.2)
    write_adapter(trained, own, {"text_model_id": "llama"}, tmp_path / "written")
    (tmp_path / "written" / "text").symlink_to(folder)
    model, _ = AdaptedText.from_pretrained(tmp_path / "written", dtype=torch.float32, output_loading_info=True)
    ids = torch.tensor([text.tokenize("Read the news story and name its topic.")])
    with torch.no_grad():
        # Written in half precision.
        torch.testing.assert_close(model(ids).logits, text.model.eval()(ids).logits, atol=0.05, rtol=0.05)
    voice = read_voice(tmp_path / "written", WIDTH, TEXT_WIDTH)
    sounds = torch.stack([clip.sound for clip in made_up(4, 2)])
    torch.testing.assert_close(voice(sounds), trained.voice(sounds), atol=5e-3, rtol=5e-3)


def texts() -> pl.DataFrame:
    rows = [(f"{split}-{at}", SENTENCES[at % 4], split) for split in ("train", "held_out") for at in range(6)]
    return pl.DataFrame(rows, ("id", "text", "split"), orient="row")


def test_a_held_out_text_comes_in_every_style_as_the_study_speaks_it() -> None:
    draws = draw_shard(texts(), "held-v", spec(), READ)
    assert len(draws) == 2 * len(styles_of(spec()))
    for draw in draws:
        assert draw.style is not None and draw.prosody == STYLES[draw.style] and draw.voice == "v"


def test_training_clips_are_drawn_from_voices_and_styles_alike() -> None:
    large = spec(clips=2_000, shard_clips=2_000, voiced_tasks=["meld", "mustard"])
    draws = draw_shard(texts(), "styled-0000", large, READ)
    assert draws == draw_shard(texts(), "styled-0000", large, READ) and len(draws) == 2_000
    for style in styles_of(large):
        assert abs(sum(draw.style == style for draw in draws) / 2_000 - 1 / 9) < 0.03
    assert {draw.voice for draw in draws} == {"a", "b"}
    assert all(draw.text in SENTENCES for draw in draws)
    names = shards(spec())
    assert names == ["styled-0000", "styled-0001", "styled-0002", "plain-0000", "held-v"]
    assert [len(draw_shard(texts(), name, spec(), READ)) for name in names[:4]] == [10, 10, 4, 8]


def test_a_drawn_prosody_keeps_the_direction_of_its_style() -> None:
    rng = np.random.default_rng(0)
    still = ProsodyDraws(rate=0, pitch=0, range=0, loudness_db=0)
    for style in STYLES.values():
        drawn = near(style, still, rng)
        assert (drawn.rate - 1) * (style.rate - 1) >= 0 and drawn.pitch * style.pitch >= 0
        assert abs(drawn.pitch) <= 1.3 * abs(style.pitch) + 0.5
    exact = ProsodyDraws(strength=(1, 1), rate=0, pitch=0, range=0, loudness_db=0)
    assert near(STYLES["anger"], exact, rng) == STYLES["anger"]


def test_a_held_out_voice_is_not_trained_on() -> None:
    with pytest.raises(ValueError, match="not held out"):
        spec(evaluation_voices={"v": {"provider": "espeak", "name": "en-us+m1", "rate": 100}})


def test_a_shard_holds_what_its_base_hears(tmp_path: Path) -> None:
    from cascade_equivalence.models.speech_llm.load import load_audio_encoder

    base = resolve_all(tmp_path, 1.0).parent / "base"
    encoder = load_audio_encoder(base, None, TEXT_WIDTH, "cpu", torch.float32)
    own = spec(voiced_tasks=["mustard"])
    draws = draw_shard(texts(), "styled-0000", own, READ)[:3]
    written = make_shard(draws, dict(own.voices), encoder, tmp_path / "styled-0000.safetensors")
    found = list(read_shard(tmp_path / "styled-0000.safetensors"))
    assert len(found) == written > 0
    for clip in found:
        draw = next(draw for draw in draws if draw.id == clip.id)
        assert (clip.text, clip.voice, clip.style) == (draw.text, draw.voice, draw.style)
        assert clip.words.shape[1] == TEXT_WIDTH and clip.depths == 3 and torch.isfinite(clip.sound).all()
    (tmp_path / "styled-0000.safetensors").write_bytes(b"no shard")
    with pytest.raises(StudyError, match="styled-0000"):
        list(read_shard(tmp_path / "styled-0000.safetensors"))
