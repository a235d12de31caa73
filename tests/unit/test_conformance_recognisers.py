"""What holds for every recogniser of the library: its class's own transcripts, in any batch, or a refusal."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers
from safetensors.torch import load_file, save_file
from tiny_recognisers import TINY

from cascade_equivalence.config.sources import ModelSpec
from cascade_equivalence.config.study import TranscribeConfig
from cascade_equivalence.errors import StudyError
from cascade_equivalence.models.recording import Recording
from cascade_equivalence.models.sources.manifest import read_manifest
from cascade_equivalence.models.sources.resolve import resolve_model
from cascade_equivalence.models.transcription.engines import open_engine, recogniser_in
from cascade_equivalence.models.transcription.recognisers import RECOGNISERS, SAMPLING_RATE
from cascade_equivalence.models.transcription.run import transcribe_recordings

KINDS = sorted(RECOGNISERS)
TOKENS = 12
CONFIG = TranscribeConfig(device="cpu", max_new_tokens=TOKENS, batch_size=2)


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """A resolved checkpoint of a kind, as a study has it; each is made once."""
    root = tmp_path_factory.mktemp("recognisers")

    def of(kind: str) -> Path:
        target = root / "models" / kind
        if not target.exists():
            source = TINY[kind](root / "sources" / kind, 3)
            resolve_model(kind, spec(source), target, root / "cache")
        return target

    return of


@pytest.fixture(scope="module")
def audio() -> list[np.ndarray]:
    """Three sounds of different lengths."""
    rng = np.random.default_rng(0)
    return [(0.3 * rng.normal(size=count)).astype(np.float32) for count in (16_000, 9_000, 24_000)]


def spec(folder: Path) -> ModelSpec:
    """The entry of a checkpoint in a folder: four lines."""
    return ModelSpec.model_validate(
        {"role": "asr", "licence": "none: random numbers", "source": {"kind": "path", "path": str(folder)}}
    )


def by_the_library(kind: str, folder: Path, clip: np.ndarray) -> str:
    """What the class and the processor make of one clip, asked as the library's documentation asks them."""
    known = RECOGNISERS[kind]
    model = getattr(transformers, known.auto).from_pretrained(folder).eval()
    processor: Any = transformers.AutoProcessor.from_pretrained(folder)
    if kind == "parakeet_ctc":
        # The pipeline has no mask for its last frame, which the class itself leaves out.
        tokens = model.generate(**processor(clip, sampling_rate=SAMPLING_RATE, return_tensors="pt"))
        return str(processor.batch_decode(tokens, skip_special_tokens=True)[0]).strip()
    if kind in ("canary", "qwen3_asr"):
        more = {"language": "en"} if kind == "qwen3_asr" else {}
        inputs = processor.apply_transcription_request(clip, **more)
    elif kind.startswith("seamless"):
        inputs = processor(audio=clip, sampling_rate=SAMPLING_RATE, return_tensors="pt")
        with torch.inference_mode():
            tokens = model.generate(**inputs, tgt_lang="eng", max_new_tokens=TOKENS, do_sample=False)
        return str(processor.decode(tokens[0].tolist(), skip_special_tokens=True)).strip()
    elif kind == "cohere_asr":
        inputs = processor(clip, language="en", sampling_rate=SAMPLING_RATE)
    else:
        heard = transformers.pipeline(
            "automatic-speech-recognition",
            model=model,
            tokenizer=processor.tokenizer,
            feature_extractor=processor.feature_extractor,
            **({"generate_kwargs": {"max_new_tokens": TOKENS, "num_beams": 1}} if kind == "moonshine" else {}),
        )
        text = str(heard(clip.copy())["text"])
        # The pipeline leaves control tokens standing.
        for token in processor.tokenizer.all_special_tokens:
            text = text.replace(token, "")
        return text.strip()
    with torch.inference_mode():
        tokens = model.generate(**inputs, max_new_tokens=TOKENS, do_sample=False)
    start = inputs["input_ids" if "input_ids" in inputs else "decoder_input_ids"].shape[1]
    return str(processor.tokenizer.decode(tokens[0, start:], skip_special_tokens=True)).strip()


def test_every_recogniser_is_in_the_suite() -> None:
    assert sorted(TINY) == KINDS


@pytest.mark.parametrize("kind", KINDS)
def test_transcripts_are_those_of_the_class_whatever_the_batch(
    kind: str, checkpoint: Callable[[str], Path], audio: list[np.ndarray]
) -> None:
    folder = checkpoint(kind)
    engine = open_engine(folder, CONFIG)
    together = engine.transcribe(audio)
    assert together == [engine.transcribe([clip])[0] for clip in audio]
    assert together == [by_the_library(kind, folder, clip) for clip in audio]
    assert any(together) and len(set(together)) == len(audio)


@pytest.mark.parametrize("kind", KINDS)
def test_the_manifest_says_what_it_is(kind: str, checkpoint: Callable[[str], Path]) -> None:
    facts = read_manifest(checkpoint(kind) / "manifest.json").architecture
    assert facts["model_type"] == kind and facts["engines"] == ["transformers"]
    counted = sum(weights.numel() for weights in load_file(checkpoint(kind) / "model.safetensors").values())
    assert facts["parameters"] == counted


@pytest.mark.parametrize("kind", KINDS)
def test_a_checkpoint_without_a_weight_is_refused(kind: str, checkpoint: Callable[[str], Path], tmp_path: Path) -> None:
    folder = tmp_path / "cut"
    shutil.copytree(checkpoint(kind), folder)
    weights = load_file(folder / "model.safetensors")
    gone = next(name for name in weights if "encoder" in name or "audio_tower" in name)
    (folder / "model.safetensors").unlink()
    save_file(
        {name: value for name, value in weights.items() if name != gone}, folder / "model.safetensors", {"format": "pt"}
    )
    with pytest.raises(StudyError, match="lacks weights"):
        open_engine(folder, CONFIG)


def test_a_transcript_of_the_store_serves_no_other_recogniser(
    checkpoint: Callable[[str], Path], audio: list[np.ndarray], tmp_path: Path
) -> None:
    heard = [
        Recording(f"{at}" * 64, len(clip) / SAMPLING_RATE, lambda clip=clip: clip) for at, clip in enumerate(audio)
    ]

    def texts(kind: str, store: str) -> list[str]:
        folder = checkpoint(kind)
        revision = read_manifest(folder / "manifest.json").revision
        return [each.text for each in transcribe_recordings(heard, folder, revision, CONFIG, tmp_path / store, "test")]

    first = texts("wav2vec2", "one.jsonl")
    kept = (tmp_path / "one.jsonl").read_bytes()
    assert texts("wav2vec2", "one.jsonl") == first and (tmp_path / "one.jsonl").read_bytes() == kept
    assert texts("hubert", "one.jsonl") == texts("hubert", "two.jsonl") != first


def test_another_kind_of_model_is_no_recogniser(tmp_path: Path, checkpoint: Callable[[str], Path]) -> None:
    folder = tmp_path / "other"
    shutil.copytree(checkpoint("hubert"), folder)
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").unlink()
    (folder / "config.json").write_text(json.dumps(config | {"model_type": "voxtral"}))
    for refused in (
        lambda: recogniser_in(folder),
        lambda: resolve_model("m", spec(folder), tmp_path / "m", tmp_path / "c"),
    ):
        with pytest.raises(StudyError, match=r"no recogniser that can be opened.*speech-llm"):
            refused()


def test_a_config_that_is_none_is_told(tmp_path: Path, checkpoint: Callable[[str], Path]) -> None:
    folder = tmp_path / "broken"
    shutil.copytree(checkpoint("hubert"), folder)
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").unlink()
    (folder / "config.json").write_text(json.dumps(config | {"hidden_size": "wide"}))
    with pytest.raises(StudyError, match="cannot be opened as HuBERT"):
        open_engine(folder, CONFIG)
    (folder / "config.json").write_text("{}")
    with pytest.raises(StudyError, match=r"^m: .*no recogniser that can be opened"):
        resolve_model("m", spec(folder), tmp_path / "m", tmp_path / "c")


def test_a_checkpoint_without_its_processor_is_refused(tmp_path: Path, checkpoint: Callable[[str], Path]) -> None:
    folder = tmp_path / "deaf"
    shutil.copytree(checkpoint("hubert"), folder)
    for name in ("processor_config.json", "preprocessor_config.json"):
        (folder / name).unlink(missing_ok=True)
    with pytest.raises(StudyError, match="processor"):
        open_engine(folder, CONFIG)
    with pytest.raises(StudyError, match=r"preprocessor_config\.json"):
        resolve_model("m", spec(folder), tmp_path / "m", tmp_path / "c")


def test_integers_are_for_whisper(checkpoint: Callable[[str], Path]) -> None:
    with pytest.raises(StudyError, match="int8"):
        open_engine(checkpoint("hubert"), CONFIG.model_copy(update={"dtype": "int8"}))
