"""Waveforms to vectors: pieces, batches, padding, and what is refused."""

from pathlib import Path

import numpy as np
import pytest
import torch
import whisper
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_ultravox import HIDDEN, LONGEST, TEXT_WIDTH, WIDTH, randomize, save_ultravox, weights_of

from cascade_equivalence.config.study import Definitions
from cascade_equivalence.errors import StudyError
from cascade_equivalence.models.openai_whisper import encoder_weights, load_openai_whisper
from cascade_equivalence.models.sources.resolve import resolve_model
from cascade_equivalence.models.sources.wheels import default_cache
from cascade_equivalence.models.speech_llm.audio_encoder import MAX_SECONDS, SAMPLE_RATE, AudioEncoder, check_audio
from cascade_equivalence.models.speech_llm.audio_tower import AudioTower, encoder_frames
from cascade_equivalence.models.speech_llm.load import load_audio_encoder
from cascade_equivalence.models.speech_llm.mel import batch_mels, frames_of, log_mel
from cascade_equivalence.models.speech_llm.projector import UltravoxProjector
from cascade_equivalence.models.speech_llm.settings import tower_config

torch.set_num_threads(1)

SAMPLES = [9_001, 16_000, 1, 5_279, 40_000, 32_000, 700]


def sound(samples: int) -> np.ndarray:
    return np.random.default_rng(samples).normal(0, 0.1, samples).astype(np.float32)


@pytest.fixture(scope="module", params=[True, False], ids=["ln_mid", "ln_post"])
def encoder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> AudioEncoder:
    folder = save_ultravox(
        tmp_path_factory.mktemp("ultravox"), weights_of(request.param), projector_ln_mid=request.param
    )
    return load_audio_encoder(folder, None, TEXT_WIDTH, "cpu", torch.float32)


def close(found: list[torch.Tensor], wanted: list[torch.Tensor]) -> None:
    assert len(found) == len(wanted)
    for one, other in zip(found, wanted, strict=True):
        assert one.shape == other.shape
        assert float((one - other).abs().max()) < 1e-5


@pytest.mark.parametrize("batch_size", [2, 3, 100])
def test_a_clip_does_not_depend_on_its_batch(encoder: AudioEncoder, batch_size: int) -> None:
    clips = [sound(samples) for samples in SAMPLES]
    close(encoder.embed(clips, batch_size), [encoder.embed([clip])[0] for clip in clips])
    close(encoder.encode(clips, batch_size), [encoder.encode([clip])[0] for clip in clips])


def test_clips_differ(encoder: AudioEncoder) -> None:
    """What is compared elsewhere would be equal too if the sound did not matter."""
    one, other = encoder.embed([sound(8_000), sound(8_000)[::-1].copy()])
    assert float((one - other).abs().max()) > 0.1


def test_a_long_clip_is_its_pieces_one_by_one(encoder: AudioEncoder) -> None:
    clip = sound(70_001)
    pieces = log_mel(clip, 80).split(LONGEST, dim=1)
    assert [piece.shape[1] for piece in pieces] == [200, 200, 38]
    states, tokens = [], []
    with torch.no_grad():
        for piece in pieces:
            frames = torch.tensor([piece.shape[1]])
            states.append(encoder.audio_tower(piece[None], frames))
            vectors, counts = encoder.multi_modal_projector(states[-1], encoder_frames(frames))
            assert vectors.shape[1] == counts[0] == -(-piece.shape[1] // 16)
            tokens.append(vectors[0])
    close(encoder.embed([clip]), [torch.cat(tokens)])
    close(encoder.encode([clip]), [torch.cat([part[0] for part in states])])


@settings(max_examples=200, deadline=None)
@given(samples=st.integers(1, 10_000_000), stack=st.integers(1, 12))
def test_counts_are_those_of_the_processor(samples: int, stack: int) -> None:
    mel = frames_of(samples)
    assert mel == max(2, -(-samples // 160))
    frames = encoder_frames(torch.tensor([mel]))
    assert -(-int(frames) // stack) == -(-mel // (2 * stack))


@pytest.mark.parametrize("latency", [None, 8])
def test_what_stands_behind_a_clip_does_not_matter(latency: int | None) -> None:
    tower = AudioTower(tower_config({"d_model": WIDTH, "encoder_layers": 2, "encoder_attention_heads": 2}), latency)
    randomize(tower, 3)
    lengths = torch.tensor([61, 40, 2, 99])
    mel = torch.randn(4, 80, 99, generator=torch.Generator().manual_seed(1))
    other = mel.clone()
    for row, length in zip(other, lengths.tolist(), strict=True):
        row[:, length:] = torch.nan
    with torch.no_grad():
        first, second = tower.eval()(mel, lengths), tower(other, lengths)
    for one, two, frames in zip(first, second, encoder_frames(lengths).tolist(), strict=True):
        assert torch.equal(one[:frames], two[:frames])


@pytest.mark.parametrize("ln_mid", [True, False])
def test_states_behind_a_piece_do_not_reach_its_last_vector(ln_mid: bool) -> None:
    projector = UltravoxProjector(WIDTH, TEXT_WIDTH, HIDDEN, stack_factor=8, ln_mid=ln_mid)
    randomize(projector, 4)
    frames = torch.tensor([21, 8, 1, 3])
    states = torch.randn(4, 21, WIDTH, generator=torch.Generator().manual_seed(2))
    other = states.clone()
    for row, count in zip(other, frames.tolist(), strict=True):
        row[count:] = torch.nan
    tokens, counts = projector(states, frames)
    assert counts.tolist() == [3, 1, 1, 1]
    assert torch.equal(tokens, projector(other, frames)[0])
    for row, count in zip(tokens, counts.tolist(), strict=True):
        assert bool((row[:count] != 0).all())
        assert not bool(row[count:].any())


def test_streaming_blocks_do_not_hear_the_future() -> None:
    config = tower_config({"d_model": WIDTH, "encoder_layers": 2, "encoder_attention_heads": 2})
    mel = torch.randn(1, 80, 64, generator=torch.Generator().manual_seed(1))
    later = mel.clone()
    later[:, :, 40:] += 1
    length = torch.tensor([64])
    for latency in (8, None):
        tower = AudioTower(config, latency).eval()
        randomize(tower, 3)
        with torch.no_grad():
            changed = (tower(mel, length) - tower(later, length)).abs().amax(dim=(0, 2))
        # Frame 19 sees mel frame 40 through the convolutions, and with it the whole block of frames 16 to 23.
        first = int(changed.nonzero()[0])
        assert first == (16 if latency else 0)


def test_states_train_a_connector(encoder: AudioEncoder) -> None:
    states = encoder.encode([sound(8_000)])[0]
    projector = UltravoxProjector(WIDTH, TEXT_WIDTH, HIDDEN)
    projector(states[None], torch.tensor([len(states)]))[0].sum().backward()
    assert projector.linear_1.weight.grad is not None


def test_bfloat16_is_near(encoder: AudioEncoder, tmp_path: Path) -> None:
    clips = [sound(samples) for samples in SAMPLES]
    exact = torch.cat(encoder.embed(clips))
    ln_mid = not isinstance(encoder.multi_modal_projector.ln_mid, torch.nn.Identity)
    folder = save_ultravox(tmp_path, encoder.state_dict(), projector_ln_mid=ln_mid)
    copy = load_audio_encoder(folder, None, TEXT_WIDTH, "cpu", torch.bfloat16)
    found = torch.cat(copy.embed(clips))
    assert found.dtype == torch.bfloat16
    assert float((found - exact).norm() / exact.norm()) < 0.05


@pytest.mark.parametrize(
    ("audio", "wrong"),
    [
        (np.zeros((2, 100), np.float32), "one channel"),
        (np.zeros((100, 1), np.float32), "one channel"),
        (np.zeros(100, np.int16), "int16"),
        (np.zeros(0, np.float32), "empty"),
        (np.array([0, np.nan], np.float32), "not finite"),
        (np.array([0, np.inf], np.float64), "not finite"),
        (np.zeros(MAX_SECONDS * SAMPLE_RATE + 1, np.float32), "longer than 600 s"),
        ([0.0, 0.1], "list"),
    ],
)
def test_what_is_no_clip_is_refused(encoder: AudioEncoder, audio: np.ndarray, wrong: str) -> None:
    with pytest.raises(StudyError, match=f"clip 2 of 2.*{wrong}"):
        encoder.embed([sound(400), audio])


def test_other_floats_and_the_longest_clip_are_taken(encoder: AudioEncoder) -> None:
    check_audio(np.zeros(MAX_SECONDS * SAMPLE_RATE, np.float32), "clip")
    single, double = encoder.embed([sound(4_000), sound(4_000).astype(np.float64)])
    # Rows of one batch can differ in the last bit: kernels split them as the processor wants.
    assert torch.allclose(single, double, atol=1e-5)
    assert encoder.embed([]) == []


def test_a_piece_too_long_for_the_tower_is_refused(encoder: AudioEncoder) -> None:
    with pytest.raises(StudyError, match="at most 200 mel frames, not 201"):
        encoder.audio_tower(torch.zeros(1, 80, 201), torch.tensor([201]))


@pytest.mark.models
def test_a_real_tower_is_whispers_encoder() -> None:
    root = Path(__file__).parents[2]
    defined = Definitions.model_validate(yaml.safe_load((root / "config" / "models.yaml").read_text(encoding="utf-8")))
    name = "whisper-tiny.en"
    folder = resolve_model(name, defined.models[name], default_cache() / "models" / name)
    weights, shape = encoder_weights(folder)
    tower = AudioTower(tower_config(shape)).eval()
    tower.load_state_dict({name: tensor.float() for name, tensor in weights.items()}, strict=True)
    seconds = np.arange(5 * SAMPLE_RATE) / SAMPLE_RATE
    voice = np.sin(2 * np.pi * (200 + 40 * np.sin(3 * seconds)) * seconds) * (0.2 + 0.1 * np.sin(8 * seconds))
    voice = (voice + 0.01 * np.random.default_rng(0).normal(size=len(voice))).astype(np.float32)
    padded = whisper.pad_or_trim(voice)
    mel = log_mel(padded, tower.num_mel_bins)
    with torch.inference_mode():
        wanted = load_openai_whisper(folder).encoder(whisper.log_mel_spectrogram(padded)[None])
        found = tower(mel[None], torch.tensor([3000]))
        # A shorter neighbour in the batch changes nothing either.
        short = log_mel(voice, tower.num_mel_bins)
        batched = tower(batch_mels([mel, short]), torch.tensor([3000, short.shape[1]]))
        alone = tower(short[None], torch.tensor([short.shape[1]]))
    assert float((found - wanted).abs().max()) < 1e-4
    assert float((batched[:1] - found).abs().max()) < 1e-4
    assert float((batched[1:, : alone.shape[1]] - alone).abs().max()) < 1e-4
