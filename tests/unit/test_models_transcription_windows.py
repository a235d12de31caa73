"""Windows of a clip's own length: the same in any batch and any engine, and whole where a transcript is doubtful."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import tiny_whisper
import torch
import whisper
from hypothesis import given
from hypothesis import strategies as st
from transcribing import ENGINES, config, noise
from whisper.audio import N_FRAMES

from cascade_equivalence.models.transcription import engines
from cascade_equivalence.models.transcription.features import window
from cascade_equivalence.models.transcription.windows import SILENCE, STEP, WHOLE, ClipWindows, doubtful, window_of

AUDIO = [noise(8_000), noise(48_000, 1, 0.01), noise(90_000, 2, 0.3), noise(20_000, 3), noise(478_000, 4)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random Whisper."""
    return tiny_whisper.save_whisper(tmp_path_factory.mktemp("whisper") / "model", multilingual=False)


@given(st.floats(0, 40))
def test_a_window_holds_its_clip_and_silence_and_is_no_longer_than_needed(seconds: float) -> None:
    found = window_of(seconds)
    assert found <= WHOLE
    assert found == WHOLE or seconds + SILENCE <= found <= seconds + SILENCE + STEP
    assert found % STEP == 0


@pytest.mark.parametrize("length", [8_000, 100_000, 480_000])
def test_the_encoder_is_the_library_s_with_as_many_positions(length: int, folder: Path) -> None:
    encode = engines.TorchEncoder(folder, "cpu", torch.float32)
    audio, seconds = [noise(length)], window_of(length / 16_000)
    found = encode(audio, seconds)
    network = encode.model.encoder
    network.positional_embedding = network.positional_embedding[: found.shape[1]]
    with torch.inference_mode():
        wanted = network(window(audio, encode.mels)[..., : round(seconds * 100)])
    assert torch.equal(found, wanted)


@pytest.mark.parametrize("engine", ENGINES)
def test_every_engine_says_what_the_library_says_of_a_cut_window(engine: str, folder: Path) -> None:
    encode = engines.TorchEncoder(folder, "cpu", torch.float32)
    opened = engines.ENGINES[engine](folder, config(engine=engine, dtype="float32"))
    whole = encode.model.encoder.positional_embedding
    for clip in AUDIO:
        seconds = window_of(len(clip) / 16_000)
        encode.model.encoder.positional_embedding = whole[: round(seconds * 50)]
        encode.model.dims.n_audio_ctx = round(seconds * 50)
        options = whisper.DecodingOptions(
            language="en", without_timestamps=True, fp16=False, sample_len=config().max_new_tokens
        )
        wanted = whisper.decode(encode.model, window([clip], 80, seconds)[0], options).text.strip()
        assert opened.transcribe([clip], seconds) == [wanted]


@pytest.mark.parametrize("engine", ENGINES)
def test_a_transcript_does_not_depend_on_what_is_heard_beside_it(engine: str, folder: Path) -> None:
    opened = engines.open_engine(folder, config(engine=engine, window="clip", dtype="float32"))
    together = opened.transcribe(AUDIO)
    assert together == [opened.transcribe([clip])[0] for clip in AUDIO]
    assert together[::-1] == opened.transcribe(AUDIO[::-1])
    # The longest fills a whole window, as it does without the setting.
    assert together[-1:] == engines.open_engine(folder, config(engine=engine, dtype="float32")).transcribe(AUDIO[-1:])


def test_a_whole_window_is_the_default() -> None:
    audio = AUDIO[:2]
    assert torch.equal(window(audio, 80), window(audio, 80, WHOLE))
    assert window(audio, 80).shape[-1] == N_FRAMES


@pytest.mark.parametrize("engine", ENGINES)
def test_transcripts_of_other_windows_have_other_keys(engine: str) -> None:
    whole, clip = (engines.identity(config(engine=engine, window=name)) for name in ("whole", "clip"))
    assert whole != clip
    assert whole.engine == engine


def test_a_doubtful_transcript_is_heard_again_in_a_whole_window() -> None:
    asked: list[tuple[int, float]] = []

    def hears(audio: Sequence[np.ndarray], seconds: float) -> list[str]:
        asked.extend((len(clip), seconds) for clip in audio)
        return ["plain words" if seconds == WHOLE or len(clip) != 16_000 else "again " * 40 for clip in audio]

    audio = [np.ones(length, np.float32) for length in (32_000, 16_000, 64_000)]
    assert ClipWindows(hears).transcribe(audio) == ["plain words"] * 3
    assert [each for each in asked if each[1] == WHOLE] == [(16_000, WHOLE)]
    assert len(asked) == len(audio) + 1


def test_silence_is_heard_once() -> None:
    asked: list[float] = []

    def hears(audio: Sequence[np.ndarray], seconds: float) -> list[str]:
        asked.append(seconds)
        return [""] * len(audio)

    assert ClipWindows(hears).transcribe([np.zeros(32_000, np.float32)]) == [""]
    assert asked == [window_of(2.0)]


@pytest.mark.parametrize(
    ("text", "seconds", "found"),
    [
        ("", 3.0, True),
        ("so it goes on and on, " * 12, 30.0, True),
        ("one two three four five six seven eight nine ten eleven", 1.0, True),
        ("one two three four five six seven eight nine ten eleven", 4.0, False),
        ("Please put the book back on the shelf.", 2.0, False),
    ],
)
def test_what_is_doubtful(text: str, seconds: float, found: bool) -> None:
    assert doubtful(text, seconds) == found
