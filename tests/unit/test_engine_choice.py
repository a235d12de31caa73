"""`transcribe.engine: auto` becomes an engine before anything is planned, and stays it while the study lives."""

import json
from pathlib import Path
from typing import Any, get_args

import pytest
from study_config import HUB, ROOT, changed

from cascade_equivalence.config import engine_choice
from cascade_equivalence.config.engine_choice import AUTO, KEPT, MEASURED, UNMEASURED, keep_engine
from cascade_equivalence.config.load import load_study
from cascade_equivalence.config.study import StudyConfig, TranscribeConfig
from cascade_equivalence.errors import StudyError
from cascade_equivalence.models.transcription.engines import ENGINES
from cascade_equivalence.stages import transcribe
from cascade_equivalence.stages.study import Study

RECOGNISER = "whisper-base"


@pytest.fixture(autouse=True)
def _no_gpu(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(engine_choice, "GPU", tmp_path / "nothing")


def on(monkeypatch: pytest.MonkeyPatch, *flags: str) -> None:
    """Plan on a processor with some flags."""
    monkeypatch.setattr(engine_choice, "processor_flags", lambda: frozenset(flags))


def load(folder: Path, told: list[str] | None = None, **places: Any) -> StudyConfig:
    raw = changed(results=str(folder), models_folder=str(folder / "models"), **{"transcribe__engine": AUTO, **places})
    return load_study(raw, ROOT, tell=(told if told is not None else []).append)


def test_the_choices_of_the_config_are_the_engines_there_are() -> None:
    assert set(get_args(TranscribeConfig.model_fields["engine"].annotation)) == {*ENGINES, AUTO}
    assert {engine for _, engine, _ in MEASURED} <= set(ENGINES) and UNMEASURED in ENGINES


@pytest.mark.parametrize(("flags", "engine"), [(flags, engine) for flags, engine, _ in MEASURED])
def test_a_processor_gets_the_engine_that_was_fastest_there(
    flags: set[str], engine: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[str] = []
    on(monkeypatch, *flags, "sse2")
    assert load(tmp_path, told).transcribe.engine == engine
    assert len(told) == 1 and engine in told[0]
    on(monkeypatch)
    assert load(tmp_path).transcribe.engine == UNMEASURED


def test_what_is_planned_is_what_the_engine_by_its_name_plans(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """So a choice makes nothing again that the same engine has made, and another one is seen."""
    found = {}
    for flags, engine, _ in MEASURED[:2]:
        on(monkeypatch, *flags)
        chosen, named = load(tmp_path), load(tmp_path, transcribe__engine=engine)
        assert chosen == named
        found[engine] = transcribe.params(Study(chosen), RECOGNISER)
        assert found[engine] == transcribe.params(Study(named), RECOGNISER)
        assert AUTO not in json.dumps(Study(chosen).resolved()["transcribe"]["engine"])
    first, second = found.values()
    assert first != second


def test_a_study_goes_on_as_it_began(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (here, engine, _), (there, other, _) = MEASURED[:2]
    on(monkeypatch, *here)
    keep_engine(load(tmp_path))
    on(monkeypatch, *there)
    assert load(tmp_path).transcribe.engine == engine != other
    keep_engine(load(tmp_path, transcribe__engine=other))
    assert load(tmp_path).transcribe.engine == engine
    assert load(tmp_path, transcribe__engine=other).transcribe.engine == other
    (tmp_path / KEPT).unlink()
    assert load(tmp_path).transcribe.engine == other


@pytest.mark.parametrize(
    "content",
    ["", "[]", "{}", '{"engine": "fast", "reason": ""}', '{"engine": "hybrid"}', '{"engine": "auto", "reason": ""}'],
)
def test_a_choice_that_cannot_be_read_is_told(content: str, tmp_path: Path) -> None:
    (tmp_path / KEPT).parent.mkdir(parents=True)
    (tmp_path / KEPT).write_text(content)
    with pytest.raises(StudyError, match=str(KEPT)):
        load(tmp_path)


def test_weights_that_the_fast_engines_cannot_open_are_left_to_the_one_that_can(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    on(monkeypatch, *MEASURED[0][0])
    hub = {RECOGNISER: {"role": "asr", "licence": "MIT", "source": HUB}}
    assert load(tmp_path, definitions__models=hub).transcribe.engine == UNMEASURED
    weights = tmp_path / "models" / RECOGNISER / "model.bin"
    weights.parent.mkdir(parents=True)
    weights.write_bytes(b"")
    assert load(tmp_path, definitions__models=hub).transcribe.engine == MEASURED[0][1]


def test_a_gpu_and_an_arithmetic_that_is_set_count(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    on(monkeypatch, *MEASURED[1][0])
    assert load(tmp_path, transcribe__device="cuda").transcribe.engine == UNMEASURED
    assert load(tmp_path, transcribe__device=AUTO).transcribe.engine == MEASURED[1][1]
    monkeypatch.setattr(engine_choice, "GPU", tmp_path)
    assert load(tmp_path, transcribe__device=AUTO).transcribe.engine == UNMEASURED
    assert load(tmp_path, transcribe__device="cpu").transcribe.engine == MEASURED[1][1]
    # The engine can compute in what is set, whatever the processor.
    for dtype in get_args(TranscribeConfig.model_fields["dtype"].annotation):
        assert load(tmp_path, transcribe__dtype=dtype).transcribe.engine in ENGINES


def test_an_engine_that_is_named_is_left_alone(tmp_path: Path) -> None:
    told: list[str] = []
    for engine in ENGINES:
        assert load(tmp_path, told, transcribe__engine=engine).transcribe.engine == engine
    assert not told
