"""Equality with the published Ultravox code, whose outputs ``tests/recipes/ultravox_reference.py`` wrote down."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import CONFIG_MAPPING, AutoModelForCausalLM, PreTrainedModel, WhisperFeatureExtractor

from cascade_equivalence.models.speech_llm.audio_encoder import AudioEncoder
from cascade_equivalence.models.speech_llm.audio_tower import encoder_frames
from cascade_equivalence.models.speech_llm.load import has_text_weights, load_audio_encoder, text_state_dict
from cascade_equivalence.models.speech_llm.mel import batch_mels, frames_of, log_mel

FIXTURE = Path(__file__).parent / "fixtures" / "ultravox"
TEXT_WIDTH = 48
LATENCY_BLOCK = 8
# Float32 on another machine, with other versions of the libraries; the values are about 1.
TOLERANCE = 1e-4
CLIPS = range(5)
VARIANTS = [(ln_mid, latency) for ln_mid in (True, False) for latency in (None, LATENCY_BLOCK)]

torch.set_num_threads(1)


@pytest.fixture(scope="module")
def expected() -> dict[str, torch.Tensor]:
    return load_file(FIXTURE / "expected.safetensors")


@pytest.fixture(scope="module")
def text_model() -> PreTrainedModel:
    section = json.loads((FIXTURE / "config.json").read_text())["text_config"]
    assert has_text_weights(FIXTURE)
    model = AutoModelForCausalLM.from_config(CONFIG_MAPPING[section["model_type"]](**section), dtype=torch.float32)
    model.load_state_dict({name: tensor.float() for name, tensor in text_state_dict(FIXTURE).items()}, strict=True)
    return model.eval()


def load(ln_mid: bool, latency: int | None, folder: Path) -> AudioEncoder:
    """One variant, from a folder in the layout of a published checkpoint."""
    config = json.loads((FIXTURE / "config.json").read_text())
    config |= {"projector_ln_mid": ln_mid, "audio_latency_block_size": latency}
    (folder / "config.json").write_text(json.dumps(config))
    if ln_mid:
        shutil.copy(FIXTURE / "model.safetensors", folder)
    else:
        weights = load_file(FIXTURE / "model.safetensors") | load_file(FIXTURE / "ln_post.safetensors")
        del weights["multi_modal_projector.ln_mid.weight"]
        save_file(weights, folder / "model.safetensors")
    return load_audio_encoder(folder, None, TEXT_WIDTH, "cpu", torch.float32)


def inputs(expected: dict[str, torch.Tensor], case: str) -> dict[str, torch.Tensor]:
    start = f"inputs.{case}."
    return {name.removeprefix(start): tensor for name, tensor in expected.items() if name.startswith(start)}


def pieces(expected: dict[str, torch.Tensor], clip: int, longest: int) -> list[torch.Tensor]:
    return list(expected[f"mel.{clip}"].float().split(longest, dim=1))


@torch.no_grad()
def run(encoder: AudioEncoder, mels: list[torch.Tensor]) -> tuple[list[torch.Tensor], list[torch.Tensor]]:
    """States and vectors of each piece of a batch."""
    lengths = torch.tensor([mel.shape[1] for mel in mels])
    states = encoder.audio_tower(batch_mels(mels), lengths)
    frames = encoder_frames(lengths)
    tokens, counts = encoder.multi_modal_projector(states, frames)
    return (
        [row[:count] for row, count in zip(states, frames.tolist(), strict=True)],
        [row[:count] for row, count in zip(tokens, counts.tolist(), strict=True)],
    )


@torch.no_grad()
def logits(model: PreTrainedModel, case: dict[str, torch.Tensor], tokens: list[torch.Tensor]) -> torch.Tensor:
    """The text LLM's logits with the vectors written over the embeddings at the audio positions."""
    embeddings = model.get_input_embeddings()(case["input_ids"])
    rows = torch.arange(len(embeddings)).repeat_interleave(case["audio_batch_size"][:, 0])
    starts = case["audio_token_start_idx"].tolist()
    for row, start, vectors in zip(rows.tolist(), starts, tokens, strict=True):
        embeddings[row, start : start + len(vectors)] = vectors
    mask = case["attention_mask"]
    positions = (mask.cumsum(-1) - 1).clamp(min=0)
    return model(inputs_embeds=embeddings, attention_mask=mask, position_ids=positions).logits


def furthest(found: torch.Tensor, wanted: torch.Tensor) -> float:
    assert found.shape == wanted.shape
    assert float(wanted.abs().max()) > 0.1
    return float((found - wanted).abs().max())


@pytest.mark.parametrize(("ln_mid", "latency"), VARIANTS)
def test_every_clip_by_itself(
    ln_mid: bool, latency: int | None, expected: dict[str, torch.Tensor], text_model: PreTrainedModel, tmp_path: Path
) -> None:
    """Clips of odd, even and whole lengths, and one that is cut into two pieces."""
    encoder = load(ln_mid, latency, tmp_path)
    name = f"ln_mid={ln_mid},latency={latency}"
    for clip in CLIPS:
        case = inputs(expected, str(clip))
        mels = pieces(expected, clip, encoder.audio_tower.longest)
        # Batched with everything else, for that must not matter.
        others = [mel for other in CLIPS for mel in pieces(expected, other, encoder.audio_tower.longest)]
        states, tokens = ([*part[: len(mels)]] for part in run(encoder, [*mels, *others]))
        assert [len(vectors) for vectors in tokens] == case["audio_token_len"].tolist()
        for number, (own, vectors) in enumerate(zip(states, tokens, strict=True)):
            if ln_mid:
                wanted = expected[f"{name}.{clip}.states"][number, : len(own)]
                assert furthest(own, wanted) < TOLERANCE
            wanted = expected[f"{name}.{clip}.tokens"][number, : len(vectors)]
            # Behind the sound of a long clip's last piece the published code stacks what it computed for padding.
            whole = len(vectors) - (number > 0)
            assert furthest(vectors[:whole], wanted[:whole]) < TOLERANCE
        if latency is None and len(mels) == 1:
            wanted = expected[f"{name}.{clip}.logits"]
            assert furthest(logits(text_model, case, tokens), wanted) < TOLERANCE


def test_a_batch_of_the_published_code(
    expected: dict[str, torch.Tensor], text_model: PreTrainedModel, tmp_path: Path
) -> None:
    """Text padded before, sound behind: equal wherever the published code does not mix padding into a clip.

    It does so in the last frame of a clip of odd length, from where it spreads, and in the last vector of one whose
    frames do not fill it. The clips here: the longest of the batch, one of odd length, one that does not fill its last
    vector, and one that does.
    """
    encoder = load(True, None, tmp_path)
    case = inputs(expected, "batch")
    found_states, found_tokens = run(
        encoder, [pieces(expected, clip, encoder.audio_tower.longest)[0] for clip in range(4)]
    )
    wanted = {key: expected[f"ln_mid=True,latency=None.batch.{key}"] for key in ("states", "tokens", "logits")}
    found_logits = logits(text_model, case, found_tokens)
    assert case["audio_token_len"].tolist() == [len(vectors) for vectors in found_tokens]
    for clip in (0, 2, 3):
        assert furthest(found_states[clip], wanted["states"][clip, : len(found_states[clip])]) < TOLERANCE
        whole = len(found_tokens[clip]) - (clip == 2)
        assert furthest(found_tokens[clip][:whole], wanted["tokens"][clip, :whole]) < TOLERANCE
    for clip in (0, 3):
        real = case["attention_mask"][clip].bool()
        assert furthest(found_logits[clip, real], wanted["logits"][clip, real]) < TOLERANCE


@pytest.mark.parametrize("mels", [80, 128])
@pytest.mark.parametrize("samples", [1, 319, 321, 16_000, 23_333, 31 * 16_000 + 7])
def test_spectrograms_are_those_of_the_processor(mels: int, samples: int) -> None:
    """To the last frame, called as the published processor calls it."""
    audio = np.random.default_rng(samples).normal(0, 0.1, samples).astype(np.float32)
    audio[samples // 2 :] *= 1e-3
    # The processor fills up to two frames first.
    filled = np.pad(audio, (0, max(0, 320 - samples)))
    result = WhisperFeatureExtractor(feature_size=mels)(
        [filled],
        sampling_rate=16_000,
        padding="longest",
        pad_to_multiple_of=160,
        truncation=False,
        return_attention_mask=True,
    )
    found = log_mel(audio, mels)
    assert int(result["attention_mask"][0].sum()) == frames_of(samples) == found.shape[1]
    np.testing.assert_allclose(found.numpy(), result["input_features"][0], atol=1e-4)
