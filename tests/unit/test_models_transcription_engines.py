"""Windows and transcripts are Whisper's own, whichever engine makes them."""

from dataclasses import asdict
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import tiny_whisper
import torch
import whisper
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from transcribing import CONFIG, ENGINES, config, noise
from whisper.audio import N_FRAMES, N_SAMPLES, log_mel_spectrogram, pad_or_trim
from whisper.decoding import DecodingResult

from cascade_equivalence.config.speech import HibariVoice
from cascade_equivalence.config.study import Definitions, TranscribeConfig
from cascade_equivalence.errors import StudyError
from cascade_equivalence.models.sources.resolve import resolve_model
from cascade_equivalence.models.sources.wheels import default_cache
from cascade_equivalence.models.transcription import engines
from cascade_equivalence.models.transcription.features import window
from cascade_equivalence.models.transcription.words import word_errors
from cascade_equivalence.speech.provider import open_provider


def seen_by_whisper(audio: np.ndarray, mels: int) -> list[torch.Tensor]:
    """The windows that ``whisper.transcribe`` gives its model."""
    windows: list[torch.Tensor] = []

    def decode(mel: torch.Tensor, _: object) -> DecodingResult:
        windows.append(mel)
        return DecodingResult(
            None, "en", [], avg_logprob=0.0, no_speech_prob=0.0, temperature=0.0, compression_ratio=1.0
        )

    model = SimpleNamespace(
        device=torch.device("cpu"),
        dims=SimpleNamespace(n_mels=mels, n_audio_ctx=1500, n_text_ctx=448),
        is_multilingual=False,
        num_languages=0,
        decode=decode,
    )
    whisper.transcribe(model, audio, temperature=0.0, fp16=False)
    return windows


@pytest.mark.parametrize("mels", [80, 128])
@pytest.mark.parametrize("length", [160, 161, 319, 400, 15_999, 16_000, 50_003, N_SAMPLES - 1, N_SAMPLES])
def test_a_window_is_what_whisper_gives_its_model(length: int, mels: int) -> None:
    audio = noise(length)
    [wanted] = seen_by_whisper(audio, mels)
    found = window([audio], mels)
    assert found.shape == (1, mels, N_FRAMES)
    torch.testing.assert_close(found[0], wanted, atol=1e-5, rtol=0)


@settings(deadline=None, max_examples=15)
@given(st.lists(st.integers(160, 60_000), min_size=1, max_size=3), st.integers(0, 99))
def test_windows_of_any_batch(lengths: list[int], seed: int) -> None:
    batch = [noise(length, seed + at, 10.0 ** -(at + 1)) for at, length in enumerate(lengths)]
    for found, audio in zip(window(batch, 80), batch, strict=True):
        torch.testing.assert_close(found, seen_by_whisper(audio, 80)[0], atol=1e-5, rtol=0)


def test_behind_the_sound_the_spectrogram_is_zero_and_not_that_of_silence() -> None:
    audio = noise(20_000)
    found = window([audio], 80)[0]
    frames = len(audio) // 160
    assert not found[:, frames:].any()
    assert found[:, :frames].abs().min() > 0
    silence = log_mel_spectrogram(pad_or_trim(audio), n_mels=80)
    assert (found - silence).abs().max() > 0.1


def test_only_the_first_half_minute_is_heard() -> None:
    audio = noise(N_SAMPLES + 20_000)
    assert torch.equal(window([audio], 80), window([audio[:N_SAMPLES]], 80))


def test_a_clip_without_sound_is_an_empty_window() -> None:
    assert not window([np.zeros(0, np.float32), np.zeros(80, np.float32)], 80).any()


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[bool, Path]:
    """A random Whisper, English only and multilingual."""
    root = tmp_path_factory.mktemp("whisper")
    return {many: tiny_whisper.save_whisper(root / str(many), many) for many in (False, True)}


AUDIO = [noise(8_000), noise(48_000, 1, 0.01), noise(20_000, 2, 0.3), noise(400_000, 3)]


@pytest.fixture(scope="module")
def wanted(folders: dict[bool, Path]) -> dict[bool, list[str]]:
    """What openai-whisper says by itself, a clip at a time."""
    options = {"language": "en", "without_timestamps": True, "fp16": False, "sample_len": CONFIG.max_new_tokens}
    found = {}
    for many, folder in folders.items():
        model = engines.TorchEncoder(folder, "cpu", torch.float32).model
        assert model.is_multilingual == many
        found[many] = [whisper.decode(model, seen_by_whisper(audio, 80)[0], **options).text for audio in AUDIO]
    return found


@pytest.mark.parametrize("many", [False, True], ids=["english", "multilingual"])
@pytest.mark.parametrize("engine", ENGINES)
def test_every_engine_says_what_openai_whisper_says(
    engine: str, many: bool, folders: dict[bool, Path], wanted: dict[bool, list[str]]
) -> None:
    assert len(set(wanted[many])) == len(AUDIO)
    opened = engines.open_engine(folders[many], config(engine=engine))
    assert opened.transcribe(AUDIO) == wanted[many]
    assert opened.transcribe(AUDIO[2:3]) == wanted[many][2:3]


@pytest.mark.parametrize("tokens", [1, 230])
def test_a_transcript_is_as_long_as_it_may_be_in_every_engine(tokens: int, folders: dict[bool, Path]) -> None:
    """The random model never stops by itself."""
    reference: Any = engines.open_engine(folders[False], config(max_new_tokens=tokens))
    found = reference.encode.model.decode(window(AUDIO[:1], 80), reference.options)[0]
    assert len(found.tokens) == tokens
    for engine in ("faster-whisper", "hybrid"):
        opened = engines.open_engine(folders[False], config(engine=engine, max_new_tokens=tokens))
        assert opened.transcribe(AUDIO[:1]) == [found.text]


@pytest.mark.parametrize("engine", ENGINES)
def test_the_other_arithmetics_run(engine: str, folders: dict[bool, Path]) -> None:
    for dtype in ("auto", "bfloat16", "int8"):
        if (engine, dtype) == ("openai-whisper", "int8"):
            with pytest.raises(StudyError, match="int8 needs the engine faster-whisper"):
                engines.open_engine(folders[False], config(engine=engine, dtype=dtype))
        elif (engine, dtype) != ("faster-whisper", "bfloat16"):
            texts = engines.open_engine(folders[False], config(engine=engine, dtype=dtype)).transcribe(AUDIO[:2])
            assert len(texts) == 2
            assert all(texts)


def test_an_arithmetic_the_processor_lacks_is_an_error(
    folders: dict[bool, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    import ctranslate2

    monkeypatch.setattr(ctranslate2, "get_supported_compute_types", lambda device: {"float32", "int8", "int16"})
    with pytest.raises(StudyError, match="does not compute in bfloat16 on this cpu; set float32 or int8"):
        engines.open_engine(folders[False], config(engine="faster-whisper", dtype="bfloat16"))


@pytest.mark.parametrize("engine", ["faster-whisper", "hybrid"])
def test_a_model_of_another_layout_names_the_engine_that_reads_it(
    engine: str, folders: dict[bool, Path], tmp_path: Path
) -> None:
    model = engines.TorchEncoder(folders[False], "cpu", torch.float32).model
    from cascade_equivalence.models.openai_whisper import WEIGHTS, write_weights

    state = {name: value.numpy() for name, value in model.state_dict().items()}
    write_weights(state, asdict(model.dims), tmp_path / WEIGHTS)
    with pytest.raises(StudyError, match=r"model\.bin.*openai-whisper"):
        engines.open_engine(tmp_path, config(engine=engine))
    opened = engines.open_engine(tmp_path, config())
    assert opened.transcribe(AUDIO[:1]) == engines.open_engine(folders[False], config()).transcribe(AUDIO[:1])


def test_the_identity_tells_arithmetics_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda **_: True)
    names = [
        (engine, engines.identity(config(engine=engine, dtype=dtype, device=device)).dtype)
        for engine in ENGINES
        for device in ("cpu", "cuda")
        for dtype in ("float32", "float16", "int8")
    ]
    assert dict.fromkeys(name for engine, name in names if engine == "faster-whisper").keys() == {
        "float32",
        "float16",
        "int8",
    }
    hybrid = [name for engine, name in names if engine == "hybrid"]
    # On a GPU its decoder computes in something else than on a processor.
    assert len(set(hybrid)) == len(hybrid)
    for engine in ENGINES:
        automatic = engines.identity(config(engine=engine, dtype="auto", device="cpu"))
        assert automatic == engines.identity(config(engine=engine, dtype=automatic.dtype, device="cpu"))
        assert engines.identity(config(engine=engine, max_new_tokens=13)) != engines.identity(config(engine=engine))


SENTENCES = [
    "The weather will be sunny tomorrow morning.",
    "Please put the book back on the shelf.",
    "She bought three apples and a loaf of bread.",
    "The train to the city leaves at seven.",
    "My brother plays the guitar every evening.",
    "They painted the kitchen walls bright yellow.",
]


@pytest.mark.models
def test_real_speech_is_understood_by_every_engine() -> None:
    root = Path(__file__).parents[2]
    defined = Definitions.model_validate(yaml.safe_load((root / "config" / "models.yaml").read_text(encoding="utf-8")))
    name = "whisper-tiny.en"
    folder = resolve_model(name, defined.models[name], default_cache() / "models" / name)
    with open_provider(HibariVoice(provider="hibari")) as voice:
        audio = [voice.speak(text, None) for text in SENTENCES]
    model = engines.TorchEncoder(folder, "cpu", torch.float32).model
    wanted = [whisper.transcribe(model, sound, temperature=0, fp16=False)["text"].strip() for sound in audio]
    for engine in ENGINES:
        heard = engines.open_engine(folder, TranscribeConfig(engine=engine, device="cpu")).transcribe(audio)
        same = sum(one == other for one, other in zip(heard, wanted, strict=True))
        assert same >= len(SENTENCES) - 1, (engine, heard, wanted)
        words, errors = (sum(column) for column in zip(*word_errors(SENTENCES, heard), strict=True))
        assert errors / words < 0.1, (engine, heard)
