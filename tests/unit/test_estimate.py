"""What a study takes: formulas against numbers worked out by hand, and what must grow with what."""

import json
import math
import re
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from cascade_equivalence import stages
from cascade_equivalence.__main__ import main
from cascade_equivalence.config.load import load_study
from cascade_equivalence.config.names import TASKS
from cascade_equivalence.costs import speed
from cascade_equivalence.costs.figures import FIGURES, read_figures
from cascade_equivalence.errors import StudyError
from cascade_equivalence.estimate.study import StudyEstimate, estimate_study
from cascade_equivalence.estimate.work import TOGETHER, Work, Workload
from cascade_equivalence.models.sources.manifest import Manifest, write_manifest
from cascade_equivalence.stages.study import Study
from cascade_equivalence.tasks.planned import assumed_items

REPOSITORY = Path(__file__).resolve().parents[2]
FIGURE = read_figures()
HUB = {"kind": "hub", "repo": "owner/name", "revision": "main"}


def make(folder: Path, ears: float | None = 1.5, **changes: Any) -> Study:
    """A speech LLM and a cascade on fetched sets, both opened; ``ears`` is the size of the recogniser."""
    common = {"licence": "none", "source": HUB, "blocks": 32}
    models = {
        "ears": common | {"role": "asr", "billions": ears},
        "words": common | {"role": "llm", "billions": 8.0},
        "talker": common | {"role": "speech-llm", "billions": 0.7, "text_model": "words"},
    }
    models["talker"]["transcription"] = {"prompt": "{speech} Write it down."}
    raw = {
        "registry": [str(REPOSITORY / "config" / name) for name in ("voices.yaml", "tasks.yaml")],
        "results": str(folder / "results"),
        "models_folder": str(folder / "models"),
        "tasks": ["sst2", "meld"],
        "items": {"per_task": 400, "sets_folder": str(folder / "sets")},
        "speech": {"voices": ["jenny", "guy"]},
        "noise": {"snr_db": [10], "voices": ["jenny"], "tasks": ["sst2"]},
        "systems": ["cascade", "heard", "true"],
        "definitions": {
            "models": models,
            "systems": {
                "cascade": {"kind": "cascade", "asr": "ears", "llm": "words"},
                "heard": {"kind": "e2e", "model": "talker"},
                "true": {"kind": "cascade", "asr": "oracle", "llm": "talker"},
                "own": {"kind": "cascade", "asr": "talker", "llm": "talker"},
            },
        },
        "mechanism": {
            "models": ["talker", "ears"],
            "states": {"tasks": ["sst2"], "per_task": 100},
            "erasure": {"tasks": ["sst2"], "per_task": 50, "concepts": ["proxy", "permuted"], "seeds": 4},
        },
    }
    return Study(load_study(raw | changes))


def told(study: Study) -> StudyEstimate:
    return estimate_study(study, FIGURE)


def by_stage(found: StudyEstimate) -> dict[str, Work]:
    return {work.stage: work for work in found.stages}


def test_formulas_give_what_a_pencil_gives() -> None:
    gpu = FIGURE.gpu.model_copy(update={"teraflops": 100, "terabytes_per_second": 2})
    use = FIGURE.use.model_copy(update={"reading": 0.5, "writing": 0.5, "step_milliseconds": 1})
    loading = FIGURE.loading.model_copy(update={"start_seconds": 10, "gigabytes_per_second": 2})
    figures = FIGURE.model_copy(update={"gpu": gpu, "use": use, "loading": loading})
    # 2 x 10^10 operations a token, 5 x 10^13 a second.
    assert speed.reading_seconds(10, 100, figures) == pytest.approx(0.04)
    # 20 GB of weights a step at 1 TB/s, shared by ten rows.
    assert speed.writing_seconds(10, 5, 10, figures) == pytest.approx(5 * 0.02 / 10)
    # A small network is not quicker than its kernels are launched.
    assert speed.writing_seconds(0.001, 5, 10, figures) == pytest.approx(5 * 0.001 / 10)
    assert speed.loading_seconds(10, figures) == pytest.approx(10 + 20 / 2)
    # Whisper large's encoder: 32 blocks of width 1,280; Llama 3.1: 32 of 4,096.
    assert speed.width(0.637, 32) == pytest.approx(1_280, rel=0.05)
    assert speed.width(8.0, 32) == pytest.approx(4_096, rel=0.15)


def test_an_encoder_hears_whole_windows() -> None:
    one, same, two = (speed.hearing_seconds(0.6, seconds, FIGURE) for seconds in (0.5, 30.0, 30.1))
    assert one == same and two == pytest.approx(2 * one)
    assert one == pytest.approx(speed.reading_seconds(0.6, 1_500, FIGURE))


def test_a_whisper_takes_what_its_matrices_say() -> None:
    """Whisper large-v3: 32 blocks of width 1,280 on either side, 51,866 words."""
    width, blocks, frames = 1_280, 32, 1_500
    encoder, decoder = 12 * width**2 * blocks, 16 * width**2 * blocks + 51_866 * width
    billions, text, batch = (encoder + decoder) / 1e9, 25, 16
    crossing = 2 * (2 * width**2 * blocks) * frames
    assert crossing == pytest.approx(315e9, rel=0.01)
    gpu, use = FIGURE.gpu, FIGURE.use
    heard = 2 * encoder * frames / (gpu.teraflops * 1e12 * use.reading)
    crossed = crossing / (gpu.float32_teraflops * 1e12 * use.reading)
    step = max(4 * decoder / (gpu.terabytes_per_second * 1e12 * use.writing), use.step_milliseconds / 1000)
    by_hand = use.row_milliseconds / 1000 + heard + crossed + text * step / batch
    ours = speed.transcribing_seconds(billions, frames, text, batch, FIGURE, float32=True)
    assert ours == pytest.approx(by_hand, rel=0.03)
    assert speed.transcribing_seconds(billions, frames, text, batch, FIGURE) < ours - 0.9 * crossed


def test_a_question_takes_what_its_tokens_say() -> None:
    network, gpu, use = FIGURE.network, FIGURE.gpu, FIGURE.use
    item, billions, batch = speed.ItemLength(seconds=8.0, letters=100.0, options=40.0), 8.0, 16
    own = network.prompt_tokens + 40 / network.letters_per_token
    writes = 6 * max(16e9 / (gpu.terabytes_per_second * 1e12 * use.writing), use.step_milliseconds / 1000) / batch
    token = 2 * 8e9 / (gpu.teraflops * 1e12 * use.reading)
    beside = use.row_milliseconds / 1000
    read = speed.asking_seconds(billions, item, 6, batch, FIGURE)
    assert read == pytest.approx(beside + token * (own + 100 / network.letters_per_token) + writes)
    # A tower hears 1,500 frames of any clip of up to 30 s; Ultravox makes 6.25 vectors of a second of it.
    tower = 2 * network.tower_billions * 1e9 * 1_500 / (gpu.teraflops * 1e12 * use.reading)
    heard = speed.asking_seconds(billions, item, 6, batch, FIGURE, vectors=6.25)
    assert heard == pytest.approx(beside + tower + token * (own + 50) + writes)


def test_a_model_says_how_many_vectors_it_makes_of_a_second(tmp_path: Path) -> None:
    study = make(tmp_path)
    few = study.model("talker").model_copy(update={"vectors_per_second": 6.25})
    coarse = make(tmp_path)
    coarse.config.definitions.models["talker"] = few
    usual, less = told(study), told(coarse)
    more = FIGURE.network.vectors_per_second - 6.25
    token = 2 * 8e9 / (FIGURE.gpu.teraflops * 1e12 * FIGURE.use.reading)
    seconds = sum(
        usual.spoken[node.task].items
        * len(study.voices_of(node.task, node.condition))
        * usual.spoken[node.task].seconds
        for node in study.asked_nodes("heard")
    )
    before, after = ({(e.stage, e.who): e for e in found.work} for found in (usual, less))
    saved = before["answer", "heard"].working - after["answer", "heard"].working
    assert saved == pytest.approx(token * more * seconds)
    assert after["answer", "cascade"] == before["answer", "cascade"]
    assert less.disk["states"] < usual.disk["states"]


def test_erasure_reads_a_prompt_once_a_way_and_once_without(tmp_path: Path) -> None:
    study = make(tmp_path)
    spoken = told(study).spoken
    found = {each.who: each for each in Workload(study, spoken, FIGURE).entries()[0]}["talker, proxy"]
    network, gpu, use, item = FIGURE.network, FIGURE.gpu, FIGURE.use, spoken["sst2"]
    size = stages.needs.billions(study, study.text_model("talker")) * 1e9
    rate = gpu.teraflops * 1e12 * use.reading
    own = network.prompt_tokens + item.options / network.letters_per_token
    tokens = {
        True: own + network.vectors_per_second * item.seconds,
        False: own + item.letters / network.letters_per_token,
    }
    step = max(2 * size / (gpu.terabytes_per_second * 1e12 * use.writing), use.step_milliseconds / 1000)
    writes = (study.task("sst2").max_new_tokens + 1) * step / study.config.answer.batch_size
    by_hand = 2 * network.tower_billions * 1e9 * 1_500 / rate
    for heard, ways in stages.erasure.variants(study, "proxy").items():
        by_hand += (ways + bool(ways)) * 2 * size * tokens[heard] / rate + ways * (writes + use.row_milliseconds / 1000)
    assert found.working == pytest.approx(50 * by_hand)


def test_windows_of_the_clip_are_less_to_hear(tmp_path: Path) -> None:
    whole, clip = (by_stage(told(make(tmp_path, transcribe={"window": window}))) for window in ("whole", "clip"))
    spoken = told(make(tmp_path)).spoken
    share = FIGURE.network.encoder_share
    ears = stages.needs.billions(make(tmp_path), "ears") * 1e9
    rate, single = (speed * 1e12 * FIGURE.use.reading for speed in (FIGURE.gpu.teraflops, FIGURE.gpu.float32_teraflops))
    a_frame = 2 * ears * (share / rate + (1 - share) * FIGURE.network.crossing_share / single)
    study = make(tmp_path)
    saved = sum(
        spoken[node.task].items
        * len(study.voices_of(node.task, node.condition))
        # Two seconds of silence behind the clip, up to whole steps of two seconds.
        * 50
        * (30 - 2 * math.ceil((spoken[node.task].seconds + 2) / 2))
        for node in study.heard_nodes("ears")
    )
    assert whole["transcribe"].working - clip["transcribe"].working == pytest.approx(a_frame * saved)


def test_nodes_that_share_a_job_read_the_disk_once(tmp_path: Path) -> None:
    profile = yaml.safe_load((REPOSITORY / "profiles" / "slurm" / "config.yaml").read_text(encoding="utf-8"))
    assert {stage: profile["group-components"][profile["groups"][stage]] for stage in TOGETHER} == TOGETHER
    loads, again = speed.loading_seconds(8, FIGURE), speed.loading_again_seconds(8, FIGURE)
    # 16 GB from a disk or from memory, and Python.
    assert loads == FIGURE.loading.start_seconds + 16 / FIGURE.loading.gigabytes_per_second
    assert again == FIGURE.loading.again_seconds + 16 / FIGURE.loading.again_gigabytes_per_second
    words = next(work for work in told(make(tmp_path)).work if (work.stage, work.who) == ("answer", "cascade"))
    assert (words.nodes, words.jobs) == (3, 1)
    # After the first the model stays open, but not in vLLM.
    assert words.loading == pytest.approx(loads + 2 * FIGURE.loading.open_seconds)
    vllm = make(tmp_path, answer={"engine": "vllm"})
    words = next(work for work in told(vllm).work if (work.stage, work.who) == ("answer", "cascade"))
    assert words.loading == pytest.approx(loads + 2 * again)


@given(st.floats(0.01, 100), st.floats(1, 5_000), st.floats(1.1, 10))
def test_time_grows_with_size_and_length_and_never_falls(billions: float, tokens: float, factor: float) -> None:
    reading = speed.reading_seconds(billions, tokens, FIGURE)
    assert speed.reading_seconds(factor * billions, tokens, FIGURE) == pytest.approx(factor * reading)
    assert speed.reading_seconds(billions, factor * tokens, FIGURE) == pytest.approx(factor * reading)
    writing = speed.writing_seconds(billions, tokens, 8, FIGURE)
    assert speed.writing_seconds(factor * billions, tokens, 8, FIGURE) >= writing
    assert speed.writing_seconds(billions, tokens, 16, FIGURE) == pytest.approx(writing / 2)


def test_twice_the_items_are_twice_the_work_and_the_same_loading(tmp_path: Path) -> None:
    small, large = (
        told(make(tmp_path, items={"per_task": count, "sets_folder": str(tmp_path)})) for count in (400, 800)
    )
    before, after = by_stage(small), by_stage(large)
    assert before.keys() == after.keys() and before.keys() >= {"transcribe", "answer", "capture", "answer_erased"}
    for stage, work in before.items():
        more = after[stage]
        assert (more.nodes, more.loading) == (work.nodes, work.loading)
        # The opened models are watched on a number of their own.
        grows = 2 if stage in ("transcribe", "answer") else 1
        assert more.rows == grows * work.rows and more.working == pytest.approx(grows * work.working)
    assert large.loading_share is not None and small.loading_share is not None
    assert large.loading_share < small.loading_share
    grown = {"speech (clean)", "speech (noise)", "store/speech", "answers", "transcripts"}
    for folder in grown:
        assert large.disk[folder] == pytest.approx(2 * small.disk[folder])
    for folder in ("models", "states", "moments", "erasers", "erasure"):
        assert large.disk[folder] == small.disk[folder]
    assert sum(large.speech.values()) == 2 * sum(small.speech.values()) == 2 * 2 * 2 * 400


def test_nodes_and_rows_are_those_of_the_graph(tmp_path: Path) -> None:
    study = make(tmp_path)
    found = by_stage(told(study))
    # sst2 clean and noisy, meld clean: two voices, one, two.
    rows = 400 * (2 + 1 + 2)
    assert (found["answer"].nodes, found["answer"].rows) == (3 * 3, 3 * rows)
    # The true texts take no GPU.
    assert (found["transcribe"].nodes, found["transcribe"].rows) == (3, rows)
    assert found["preflight"].nodes == 1
    # Each opened model and its untrained twin; the lens of nine layers of one.
    assert (found["capture"].nodes, found["capture"].rows) == (4, 4 * 100)
    assert found["read_lens"].nodes == 9
    # On 50 items: in both arms nothing erased, and two concepts in two forms; from audio two controls of the proxy,
    # four draws each. Shuffled labels are a control themselves.
    assert (found["answer_erased"].nodes, found["answer_erased"].rows) == (3, 50 * (2 * (1 + 2 * 2) + 2 * 4))
    own = told(make(tmp_path, systems=["cascade", "heard", "true", "own"]))
    assert by_stage(own)["transcribe"].rows == 2 * rows


def test_what_runs_on_the_processor_needs_no_gpu(tmp_path: Path) -> None:
    cpu = {"device": "cpu"}
    heard = make(tmp_path, transcribe=cpu)
    assert "transcribe" not in by_stage(told(heard)) and "answer" in by_stage(told(heard))
    nothing = told(make(tmp_path, transcribe=cpu, answer=cpu, mechanism=None))
    assert nothing.work == () and nothing.loading_share is None and "No node needs a GPU" in nothing.text()


def test_a_model_whose_size_nobody_says_is_told_and_left_out(tmp_path: Path) -> None:
    whole, part = told(make(tmp_path)), told(make(tmp_path, ears=None))
    assert part.unknown == ("ears",) and "models.ears.billions" in part.text()
    assert "transcribe" not in by_stage(part)
    assert part.disk["models"] == whole.disk["models"] - 1.5e9 * FIGURE.bytes.weight


def test_resolved_weights_say_their_size_themselves(tmp_path: Path) -> None:
    study = make(tmp_path)
    known: dict[str, Any] = {"name": "words", "role": "llm", "licence": "none", "source": HUB, "chat": True}
    known |= dict.fromkeys(("gguf", "commit")) | {"files": {}, "origin": {}, "converters": {}, "revision": "0" * 64}
    manifest = Manifest.model_validate(known | {"architecture": {"parameters": 3_000_000_000}})
    path = Path(stages.resolve.manifest(study, "words"))
    path.parent.mkdir(parents=True)
    write_manifest(manifest, path)
    assert Workload(study, {}, FIGURE).billions("words") == 3
    assert Workload(study, {}, FIGURE).billions("ears") == 1.5


def test_lengths_go_from_figures_to_clips(tmp_path: Path) -> None:
    study = make(tmp_path, mechanism=None)
    first = told(study).spoken["meld"]
    assert (first.basis, first.items) == ("figures", 400)
    assert first.seconds == pytest.approx(round(TASKS["meld"].planned.words) / FIGURE.pace.words_per_second)
    for voice, seconds in (("jenny", 2.0), ("guy", 4.0)):
        path = Path(stages.speech.file(study, "meld", voice))
        path.parent.mkdir(parents=True)
        pl.DataFrame({"seconds": [seconds] * 3}).write_parquet(path)
    second = told(study).spoken
    assert (second["meld"].basis, second["meld"].seconds) == ("clips", 3.0) and second["sst2"].basis == "figures"


def test_a_set_has_no_more_items_than_were_published(tmp_path: Path) -> None:
    items = {"per_task": 5_000, "sets_folder": str(tmp_path)}
    found = told(make(tmp_path, items=items, mechanism=None)).spoken
    # sst2 is filled up from its training part; MELD is not.
    assert (found["sst2"].items, found["meld"].items) == (5_000, 2_610)


def test_files_of_one_s_own_that_cannot_be_read_are_an_error(tmp_path: Path) -> None:
    with pytest.raises(StudyError, match="sst2"):
        told(make(tmp_path, items={"folder": str(tmp_path / "none"), "per_task": 4}))


@pytest.mark.parametrize("task", TASKS)
def test_assumed_items_have_the_length_that_the_task_plans(task: str) -> None:
    items, planned = assumed_items(task, 3), TASKS[task].planned
    assert len({item.id for item in items}) == 3
    assert len(items[0].text.split()) == round(planned.words)
    assert len(items[0].text) == pytest.approx(planned.letters, rel=0.15)
    assert sum(map(len, items[0].options)) == pytest.approx(planned.options, abs=1)


def test_every_group_of_figures_says_where_it_is_from(tmp_path: Path) -> None:
    assert all(origin.startswith(("measured: ", "published: ", "assumed: ")) for origin in FIGURE.origins().values())
    content = yaml.safe_load(FIGURES.read_text(encoding="utf-8"))
    content["gpu"]["teraflop"] = content["gpu"].pop("teraflops")
    path = tmp_path / "figures.yaml"
    path.write_text(yaml.safe_dump(content))
    with pytest.raises(StudyError, match=r"gpu\.teraflop: unknown key - did you mean 'teraflops'"):
        read_figures(path)
    with pytest.raises(StudyError, match=r"none\.yaml"):
        read_figures(tmp_path / "none.yaml")


def test_a_quicker_gpu_takes_less_and_loads_as_long(tmp_path: Path) -> None:
    study, spoken = make(tmp_path), told(make(tmp_path)).spoken
    quick = FIGURE.model_copy(update={"gpu": FIGURE.gpu.model_copy(update={"teraflops": 10 * FIGURE.gpu.teraflops})})
    slow, fast = (Workload(study, spoken, figures).entries()[0] for figures in (FIGURE, quick))
    assert all(b.loading == a.loading and b.working <= a.working for a, b in zip(slow, fast, strict=True))
    longer = {task: replace(each, seconds=each.seconds + 40) for task, each in spoken.items()}
    more = Workload(study, longer, FIGURE).entries()[0]
    heard = [(a, b) for a, b in zip(slow, more, strict=True) if a.who == "heard"]
    assert heard and all(b.working > a.working for a, b in heard)


def test_the_command_prints_a_table_or_all_numbers(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(REPOSITORY)
    monkeypatch.setattr(sys, "argv", ["cascade-equivalence", "estimate", "config/config.yaml"])
    main()
    text = capsys.readouterr().out
    assert "27,300 clips of clean speech, 24,000 in noise" in text and "24,000 clips to ask for" in text
    assert "gemini" in text and "is loading of models" in text and "assumed: " in text
    monkeypatch.setattr(sys, "argv", [*sys.argv, "--json"])
    main()
    found = json.loads(capsys.readouterr().out)
    assert (
        found["clips"] == {"clean": 27_300, "noise": 24_000} and found["api"]["calls"] == 27_300 + 24_000 + 7_300
    )  # and once more over silence
    stages = found["gpu"]["stages"]
    assert found["gpu"]["hours"] == pytest.approx(sum(each["loading"] + each["working"] for each in stages) / 3600)
    assert {each["stage"]: each["nodes"] for each in stages}["answer"] == 222 + 19 * 6
    assert not found["gpu"]["models_of_unknown_size"] and not found["api"]["problems"]
    # And what the pages say of it.
    pages = [REPOSITORY / "README.md", REPOSITORY / "RESULTS.md", *(REPOSITORY / "docs").rglob("*.md")]
    said = [hours for page in pages for hours in re.findall(r"(\d+) GPU hours on an A100", page.read_text("utf-8"))]
    assert len(said) > 2 and {*said} == {f"{found['gpu']['hours']:.0f}"}


def test_an_adapters_base_and_text_llm_are_on_the_disk_once(tmp_path: Path) -> None:
    """Its own folder links to them, whatever the scale."""
    alone = {"systems": ["cascade"], "mechanism": None}
    plain = told(make(tmp_path, **alone)).disk["models"]
    with_base = told(make(tmp_path, **alone | {"systems": ["cascade", "heard"]})).disk["models"]
    base = make(tmp_path).config.definitions
    entries = {name: spec.model_dump(mode="json") for name, spec in base.models.items()}
    entries |= {
        name: entries["talker"] | {"text_model": None, "billions": 0.01, "base": "talker", "scale": scale}
        for name, scale in (("half", 0.5), ("all", 1.0))
    }
    systems = {name: {"kind": "e2e", "model": name} for name in ("half", "all")}
    systems["cascade"] = base.systems["cascade"].model_dump(mode="json")
    changes = {"systems": list(systems), "definitions": {"models": entries, "systems": systems}}
    found = told(make(tmp_path, **alone | changes)).disk["models"]
    assert plain < with_base
    assert found == pytest.approx(with_base + 2 * 0.01e9 * FIGURE.bytes.weight)
