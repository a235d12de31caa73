"""The check of two engines finds nothing where there is nothing, and everything where there is something."""

import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import tiny_llm
import torch
import vllm_double
from test_api_study import make
from transformers import AutoModelForCausalLM

from cascade_equivalence import stages
from cascade_equivalence.cli.commands.check import check_file
from cascade_equivalence.config.study import AnswerConfig
from cascade_equivalence.errors import StudyError
from cascade_equivalence.models.engine_margins import END, first_differences
from cascade_equivalence.models.engines import check_engines
from cascade_equivalence.models.question import ModelFiles, Question
from cascade_equivalence.models.text_llm import TextLLM
from cascade_equivalence.nodes import engine_check
from cascade_equivalence.nodes.engine_check import agreement_of, compare_engines, comparison_text
from cascade_equivalence.resources import RESOURCES
from cascade_equivalence.stages.study import Study
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
