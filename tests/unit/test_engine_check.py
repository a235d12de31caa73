"""The check of two engines finds nothing where there is nothing, and everything where there is something."""

import io
import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import soundfile
import tiny_llm
import torch
import vllm_double
from own_text_checks import clip as sound
from test_api_study import make
from tiny_speech_llms import TINY
from tiny_ultravox import save_ultravox
from transformers import AutoModelForCausalLM

from cascade_equivalence import stages
from cascade_equivalence.cli.commands.check import check_file
from cascade_equivalence.config.study import AnswerConfig
from cascade_equivalence.errors import StudyError
from cascade_equivalence.models.engine_margins import END, first_differences
from cascade_equivalence.models.engines import check_engines
from cascade_equivalence.models.question import ModelFiles, Question, SpeechFiles
from cascade_equivalence.models.text_llm import TextLLM
from cascade_equivalence.nodes import engine_check
from cascade_equivalence.nodes.engine_check import agreement_of, compare_engines, comparison_text
from cascade_equivalence.resources import RESOURCES
from cascade_equivalence.speech.clips import Clip, hash_audio, write_clips
from cascade_equivalence.stages.study import Study
from cascade_equivalence.stages.vllm_speech import check_vllm_speech, comparable
from cascade_equivalence.tasks.items import write_items
from cascade_equivalence.tasks.prepare import prepare_items


@pytest.fixture
def vllm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    vllm_double.install(tmp_path / "site", monkeypatch)
    yield vllm_double
    vllm_double.sys.modules.pop("vllm", None)


@pytest.fixture(scope="module")
def llm(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_llm.save_llama(tmp_path_factory.mktemp("llama"), tiny_llm.byte_level_tokenizer())


def ready(folder: Path, llm: Path, monkeypatch: pytest.MonkeyPatch, **answer: Any) -> Study:
    """A study with one cascade whose items and transcripts are there."""
    settings = {"device": "cpu", "dtype": "float32", **answer}
    study = make(folder, systems=["text", "local"], tasks=["sst2"], answer=settings)
    items, labels = prepare_items("sst2", study.config.items, RESOURCES, study.sets_folder)
    write_items(items, Path(stages.items.file(study, "sst2")), "sst2", labels)
    rows = [{"id": item.id, "voice": "us", "text": item.text} for item in items]
    (transcripts,) = map(Path, stages.answer.heard(study, "text", "sst2", "clean"))
    transcripts.parent.mkdir(parents=True)
    pl.DataFrame(rows).write_parquet(transcripts)
    monkeypatch.setattr(stages.resolve, "answering_manifests", lambda *_: [Path(__file__)])
    monkeypatch.setattr("cascade_equivalence.nodes.answers.model_files", lambda *_: ModelFiles(llm, "r1", True))
    return study


def heard(folder: Path, checkpoint: Path, **changes: Any) -> Study:
    """A study with one speech LLM, whose checkpoint is a folder."""
    model = {"role": "speech-llm", "licence": "none", "source": {"kind": "path", "path": str(checkpoint)}}
    llm = model | {"role": "llm"}
    models = {"llm": llm, "speech": model, "through": model | {"text_model": "llm"}}
    systems = {"e2e": {"kind": "e2e", "model": "speech"}, "around": {"kind": "e2e", "model": "through"}}
    systems["text"] = {"kind": "cascade", "asr": "oracle", "llm": "llm"}
    definitions = {"models": models, "systems": systems}
    answer = {"device": "cpu", "dtype": "float32", **changes.pop("answer", {})}
    wanted = {"systems": ["e2e"], "tasks": ["sst2"], "definitions": definitions, "answer": answer}
    return make(folder, **(wanted | changes))


def spoken(folder: Path, checkpoint: Path, monkeypatch: pytest.MonkeyPatch, **answer: Any) -> Study:
    """Such a study whose items and clips are there."""
    study = heard(folder, checkpoint, answer=answer)
    items, labels = prepare_items("sst2", study.config.items, RESOURCES, study.sets_folder)
    write_items(items, Path(stages.items.file(study, "sst2")), "sst2", labels)
    for voice, path in zip(("us", "gb"), map(Path, stages.answer.heard(study, "e2e", "sst2", "clean")), strict=True):
        clips = []
        for number, item in enumerate(items):
            # No two clips alike: of those one answer is kept.
            wave = sound(number % 3) * (1 - 0.05 * number - (0.3 if voice == "gb" else 0))
            flac = io.BytesIO()
            soundfile.write(flac, wave, 16000, format="FLAC", subtype="PCM_16")
            own, seconds = flac.getvalue(), len(wave) / 16000
            clips.append(Clip(item.id, voice, own, 16000, seconds, "none", item.text, hash_audio(own)))
        path.parent.mkdir(parents=True, exist_ok=True)
        write_clips(clips, path, {"task": "sst2", "voice": voice, "condition": "clean"})
    files = ModelFiles(checkpoint, "r1", True, SpeechFiles(checkpoint, "r1"))
    monkeypatch.setattr(stages.resolve, "answering_manifests", lambda *_: [Path(__file__)])
    monkeypatch.setattr("cascade_equivalence.nodes.answers.model_files", lambda *_: files)
    return study


@pytest.fixture(scope="module")
def granite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return TINY["granite_speech"].save(tmp_path_factory.mktemp("granite"))


def here(function: Any, *arguments: Any) -> Any:
    return function(*arguments)


@pytest.mark.parametrize("mode", ["generate", "forced_choice"])
def test_equal_engines_are_equal(mode: str, tmp_path: Path, llm: Path, vllm: Any, monkeypatch: Any) -> None:
    modes = ready(tmp_path, llm, monkeypatch)
    answer = modes.config.answer.model_copy(update={"mode": mode})
    study = Study(modes.config.model_copy(update={"answer": answer}))
    (row,) = compare_engines(study, 4, here)["comparisons"]
    assert (row["system"], row["answers"]) == ("text", 4)
    assert row["equal_texts"] == row["equal_labels"] == 1 and not row["differences"]
    # What is in the store is not asked again, and a larger sample asks for the rest only.
    before = study.store("answers", "text", "sst2", "clean.jsonl").read_bytes()
    compare_engines(study, 4, here)
    assert study.store("answers", "text", "sst2", "clean.jsonl").read_bytes() == before
    assert len(vllm.opened) == 1


@pytest.mark.parametrize("mode", ["generate", "forced_choice"])
def test_an_engine_that_answers_otherwise_is_found(
    mode: str, tmp_path: Path, llm: Path, vllm: Any, monkeypatch: Any
) -> None:
    study = ready(tmp_path, llm, monkeypatch)
    answer = study.config.answer.model_copy(update={"mode": mode})
    study = Study(study.config.model_copy(update={"answer": answer}))
    (same,) = compare_engines(study, 6, here)["comparisons"]
    assert same["equal_texts"] == 1
    study.store("answers", "text", "sst2", "clean.jsonl").unlink()
    # A head with a fault: every token gets likelier or less likely by its number.
    vllm.shift.update({token: 40.0 * ((token * 7919) % 13 - 6) for token in range(300)})
    found = compare_engines(study, 6, here)
    (row,) = found["comparisons"]
    assert row["equal_texts"] < 1 and len(row["differences"]) == round(6 * (1 - row["equal_texts"]))
    for difference in row["differences"]:
        own, other = difference["answers"].values()
        assert own != other
        first = difference["first_difference"]
        assert first["first"] != first["second"] and first["margin"] != 0
    assert "text: sst2" in comparison_text(found)
    assert json.loads(engine_check.write_comparison(found, study).read_text()) == found


def test_a_speech_llm_is_compared_as_a_text_llm_is(
    tmp_path: Path, granite: Path, vllm: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    study = spoken(tmp_path, granite, monkeypatch)
    vllm.libraries[str(granite)] = TINY["granite_speech"].library(granite)
    (same,) = compare_engines(study, 3, here)["comparisons"]
    assert (same["system"], same["answers"], same["equal_texts"]) == ("e2e", 3, 1)
    assert not same["differences"]
    store = study.store("answers", "e2e", "sst2", "clean.jsonl")
    assert len({json.loads(line)["key"] for line in store.read_text().splitlines()}) == 6
    store.unlink()
    # An engine that hears without the speech adapter.
    monkeypatch.setattr(vllm, "deaf", True)
    (row,) = compare_engines(study, 3, here)["comparisons"]
    assert row["equal_texts"] < 1 and len(row["differences"]) == round(3 * (1 - row["equal_texts"]))
    for difference in row["differences"]:
        # The own loop prefers what it has written itself.
        assert difference["first_difference"]["margin"] > 0


def test_the_margin_is_that_of_the_first_token_that_differs(llm: Path) -> None:
    asked = Question(({"role": "user", "content": "What is the capital city of France?"},), "The answer is", {})
    pairs = [("Paris. A dog", "Paris. London"), ("Paris", "Paris. A dog"), ("London", "Paris")]
    model = ModelFiles(llm, "r1", True)
    found = first_differences(model, AnswerConfig(device="cpu", dtype="float32"), [(asked, *pair) for pair in pairs])
    text = TextLLM(llm, "cpu", torch.float32, chat=True)
    row = text.tokenize(text.render(asked.messages, asked.answer_prefix))
    whole = AutoModelForCausalLM.from_pretrained(llm, dtype=torch.float32)
    for pair, difference in zip(pairs, found, strict=True):
        one, other = text.continuations(row, pair)
        at = difference.position
        assert one[:at] == other[:at] and one[at : at + 1] != other[at : at + 1]
        likely = whole(torch.tensor([[*row, *one[:at]]])).logits[0, -1].detach().log_softmax(-1)
        ends = [text.tokenizer.eos_token_id, text.tokenize("\n")[-1]]
        first = likely[one[at]] if len(one) > at else likely[ends].max()
        assert difference.margin == pytest.approx(float(first - likely[other[at]]), abs=1e-4)
    assert [difference.first == END for difference in found] == [False, True, False]


def test_agreement_counts_texts_and_labels() -> None:
    texts = [["a", "b", "c", "d"], ["a", "b", "x", "y"]]
    found = agreement_of(texts, [["p", "n", "p", "n"], ["p", "n", "p", "p"]])
    assert found == {"equal_texts": 0.5, "equal_labels": 0.75, "kappa": pytest.approx(0.5)}
    assert agreement_of(texts, [["p"] * 4, ["p"] * 4])["kappa"] is None


def test_what_is_missing_is_named_before_anything_runs(tmp_path: Path, vllm: Any) -> None:
    with pytest.raises(StudyError, match="all_transcripts"):
        compare_engines(make(tmp_path), 4, here)
    with pytest.raises(StudyError, match="no system"):
        compare_engines(make(tmp_path, systems=["local"]), 4, here)


def test_a_process_of_its_own_gives_back_what_the_function_gives() -> None:
    assert engine_check.apart(divmod, 7, 2) == (3, 1)


# -- the config ---------------------------------------------------------------------------------------------------


def test_the_engine_runs_text_llms_only(tmp_path: Path) -> None:
    study = make(tmp_path, systems=["local", "text"], answer={"engine": "vllm"})
    assert study.engines() == {"vllm"} and study.engine_of("local") == "transformers"
    assert study.answering("text").engine == "vllm"
    plain = make(tmp_path, systems=["local", "text"])
    assert stages.answer.params(plain, "text", "sst2") != stages.answer.params(study, "text", "sst2")
    assert stages.wildcards.answered_by(plain, "transformers") == stages.wildcards.answered_by(study, "vllm") == "text"


def test_a_study_without_a_text_llm_has_no_use_for_the_engine(tmp_path: Path) -> None:
    with pytest.raises(StudyError, match=r"answer\.engine: vllm"):
        make(tmp_path, systems=["local"], answer={"engine": "vllm"})


def test_speech_llms_stay_on_transformers_unless_they_are_named(tmp_path: Path, granite: Path) -> None:
    both = heard(tmp_path, granite, systems=["e2e", "text"], answer={"engine": "vllm"})
    assert (both.engine_of("e2e"), both.engine_of("text")) == ("transformers", "vllm")
    study = heard(tmp_path, granite, systems=["e2e", "text"], answer={"speech_engine": "vllm"})
    assert (study.engine_of("e2e"), study.engine_of("text")) == ("vllm", "transformers")
    assert study.engines() == {"transformers", "vllm"} and study.answering("e2e").engine == "vllm"
    assert stages.wildcards.answered_by(study, "vllm") == "e2e"
    assert stages.answer.params(both, "e2e", "sst2") != stages.answer.params(study, "e2e", "sst2")
    plain = heard(tmp_path, granite, systems=["e2e", "text"])
    assert stages.answer.params(plain, "text", "sst2") == stages.answer.params(study, "text", "sst2")


def test_what_vllm_cannot_answer_is_refused_in_a_line(
    tmp_path: Path, granite: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = {"speech_engine": "vllm"}
    with pytest.raises(StudyError, match=r"answer\.speech_engine"):
        heard(tmp_path, granite, systems=["text"], answer=asked)
    with pytest.raises(StudyError, match="free answers"):
        heard(tmp_path, granite, answer=asked | {"mode": "forced_choice"})
    check_vllm_speech(heard(tmp_path, granite, answer=asked))
    adapted = tmp_path / "adapted"
    adapted.mkdir()
    (adapted / "config.json").write_text(json.dumps({"model_type": "voice_adapter"}))
    mixture = save_ultravox(tmp_path / "mixture", connector={"kind": "token_mixture"})
    refused = [heard(tmp_path, folder, answer=asked) for folder in (adapted, mixture)]
    # Where no checkpoint is there yet: what speaks through another model.
    refused.append(heard(tmp_path, tmp_path, systems=["around"], answer=asked))
    (tmp_path / "study.yaml").write_text("tasks: [sst2]\n")
    for study in refused:
        with pytest.raises(StudyError, match=r"answer\.speech_engine: vllm cannot") as error:
            check_vllm_speech(study)
        assert "\n" not in str(error.value)
        monkeypatch.setattr("cascade_equivalence.cli.study.study_of", lambda *_, study=study: study)
        with pytest.raises(StudyError, match="speech_engine"):
            check_file(tmp_path / "study.yaml", conda=True, elsewhere=True)
        # On transformers nothing is wrong with it, and there is nothing to compare.
        plain = study.config.answer.model_copy(update={"speech_engine": "transformers"})
        check_vllm_speech(Study(study.config.model_copy(update={"answer": plain})))
        assert not any(comparable(study, name) for name in study.config.systems)


def test_a_missing_engine_is_named_before_jobs_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    study = make(tmp_path, systems=["text"], answer={"engine": "vllm"})
    monkeypatch.setattr("cascade_equivalence.models.engines.version", missing)
    with pytest.raises(StudyError, match=r"requirements/vllm\.txt"):
        check_engines(study.engines())
    check_engines(study.engines(), ["conda"])
    check_engines(make(tmp_path, systems=["text"]).engines())
    monkeypatch.setattr("cascade_equivalence.cli.study.study_of", lambda *_: study)
    (tmp_path / "study.yaml").write_text("tasks: [sst2]\n")
    with pytest.raises(StudyError, match=r"requirements/vllm\.txt"):
        check_file(tmp_path / "study.yaml", elsewhere=True)
    assert "valid study" in check_file(tmp_path / "study.yaml", conda=True, elsewhere=True)


def missing(name: str) -> str:
    from importlib.metadata import PackageNotFoundError

    raise PackageNotFoundError(name)
