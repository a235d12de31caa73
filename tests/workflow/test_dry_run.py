"""A change to a finished study plans the nodes that it concerns, and no others."""

from itertools import product

import pytest
from checkout import AGGREGATES, Checkout, Config, Job

END: set[Job] = {("all",), *((rule,) for rule in AGGREGATES)}
SYSTEMS = ("first", "second")
ASRS = ("whisper-a", "whisper-b")
NODES = (("ag_news", "clean"), ("sst2", "clean"), ("sst2", "snr10"))
PAIR = ("second", "first")


def transcripts(*nodes: tuple[str, str]) -> set[Job]:
    return {("transcribe", asr, *node) for asr, node in product(ASRS, nodes)}


def answers(*nodes: tuple[str, str], systems: tuple[str, ...] = SYSTEMS) -> set[Job]:
    return {("answer", system, *node) for system, node in product(systems, nodes)}


def agreement(*nodes: tuple[str, str], pair: tuple[str, str] = PAIR) -> set[Job]:
    return {("agree", *pair, *node) for node in nodes}


def planned(finished: Checkout, study: Config, *arguments: str) -> set[Job]:
    plan = finished.plan(study, *arguments)
    assert plan.code == 0, plan.output
    assert bool(plan.jobs) != ("Nothing to be done" in plan.output)
    return plan.jobs


def test_a_finished_study_has_nothing_to_do(finished: Checkout, study: Config) -> None:
    assert planned(finished, study) == set()


def test_the_whole_plan_of_a_new_study(finished: Checkout, study: Config) -> None:
    study |= {"results": "results/new", "models_folder": "results/new_models"}
    assert planned(finished, study) == {
        *(("resolve_model", model) for model in (*ASRS, "llama-a")),
        *(("prepare_items", task) for task in ("ag_news", "sst2")),
        *(("synthesize_speech", task, voice) for task, voice in product(("ag_news", "sst2"), ("us", "gb"))),
        ("mix_noise", "sst2", "us", "snr10"),
        *transcripts(*NODES),
        *answers(*NODES),
        *agreement(*NODES),
        *END,
    }


def test_adding_a_system_runs_its_own_nodes(finished: Checkout, study: Config) -> None:
    study["systems"].append("third")
    expected = {("resolve_model", "llama-b"), *answers(*NODES, systems=("third",)), *END}
    assert planned(finished, study) == expected
    study["pairs"].append({"system": "third", "reference": "first", "label": "another LLM"})
    assert planned(finished, study) == expected | agreement(*NODES, pair=("third", "first"))


def test_adding_a_speech_llm_runs_its_own_nodes(finished: Checkout, study: Config) -> None:
    study["systems"].append("heard")
    model = {("resolve_model", "speech-a"), ("preflight", "speech-a")}
    heard = answers(*NODES, systems=("heard",))
    # It hears the clips themselves: nothing is transcribed for it.
    assert planned(finished, study) == {*model, *heard, *END}
    study["pairs"].append({"system": "heard", "reference": "first", "label": "speech LLM and cascade"})
    study["contrasts"] = [{"system": "heard", "first": "first", "second": "second", "label": "contrast"}]
    contrasts = {("contrast", "heard", "first", "second", *node) for node in NODES}
    assert planned(finished, study) == {*model, *heard, *agreement(*NODES, pair=("heard", "first")), *contrasts, *END}


def test_true_texts_and_own_transcripts_are_sources_like_others(finished: Checkout, study: Config) -> None:
    study["systems"].append("true")
    oracle = {("transcribe", "oracle", *node) for node in NODES}
    assert planned(finished, study) == {*oracle, *answers(*NODES, systems=("true",)), *END}
    study["systems"][-1] = "own"
    own = {("transcribe", "speech-a", *node) for node in NODES}
    model = {("resolve_model", "speech-a"), ("preflight", "speech-a")}
    assert planned(finished, study) == {*model, *own, *answers(*NODES, systems=("own",)), *END}


def test_adding_a_task_runs_its_own_nodes(finished: Checkout, study: Config) -> None:
    study["tasks"].append("trivia_qa")
    node = ("trivia_qa", "clean")
    assert planned(finished, study) == {
        ("prepare_items", "trivia_qa"),
        ("synthesize_speech", "trivia_qa", "us"),
        ("synthesize_speech", "trivia_qa", "gb"),
        *transcripts(node),
        *answers(node),
        *agreement(node),
        *END,
    }


def test_adding_a_voice_speaks_and_asks_again_on_clean_speech_only(finished: Checkout, study: Config) -> None:
    study["speech"]["voices"].append("gb-male")
    clean = NODES[:2]
    assert planned(finished, study) == {
        ("synthesize_speech", "ag_news", "gb-male"),
        ("synthesize_speech", "sst2", "gb-male"),
        *transcripts(*clean),
        *answers(*clean),
        *agreement(*clean),
        *END,
    }


def test_adding_a_noise_level_runs_that_level(finished: Checkout, study: Config) -> None:
    study["noise"]["snr_db"].append(0)
    node = ("sst2", "snr0")
    expected = {("mix_noise", "sst2", "us", "snr0"), *transcripts(node), *answers(node), *agreement(node), *END}
    assert planned(finished, study) == expected


@pytest.mark.parametrize(
    ("noise", "condition"),
    [({"stationary_snr_db": [5]}, "stationary5"), ({"reverb_rt60_ms": [300]}, "reverb300")],
)
def test_adding_a_kind_of_noise_runs_its_own_nodes(
    finished: Checkout, study: Config, noise: Config, condition: str
) -> None:
    study["noise"] |= noise
    node = ("sst2", condition)
    expected = {("mix_noise", "sst2", "us", condition), *transcripts(node), *answers(node), *agreement(node), *END}
    assert planned(finished, study) == expected


def test_adding_music_fetches_and_unpacks_music_only(finished: Checkout, study: Config) -> None:
    archive = {"archive": "https://host/musan.tar.gz", "sha256": "0" * 64, "parts": ["music"]}
    study["noise"] |= {"music_snr_db": [5], "musan": archive}
    node = ("sst2", "music5")
    made = {("fetch_musan",), ("unpack_musan", "music"), ("mix_noise", "sst2", "us", "music5")}
    assert planned(finished, study) == {*made, *transcripts(node), *answers(node), *agreement(node), *END}


def test_a_changed_prompt_asks_that_task_again(finished: Checkout, study: Config) -> None:
    study["definitions"]["tasks"] = {"sst2": {"prompt": "Positive or negative? {speech}", "max_new_tokens": 6}}
    assert planned(finished, study) == {*answers(*NODES[1:]), *agreement(*NODES[1:]), *END}


def test_a_prompt_changed_in_its_registry_file_counts_too(finished: Checkout, study: Config) -> None:
    with finished.edited("config/tasks.yaml", "Read the movie review", "Read this movie review"):
        assert planned(finished, study) == {*answers(*NODES[1:]), *agreement(*NODES[1:]), *END}


def test_a_changed_voice_speaks_again_and_babbles_again(finished: Checkout, study: Config) -> None:
    study["definitions"]["voices"] = {"gb": {"provider": "espeak", "name": "en-gb", "rate": 120}}
    assert planned(finished, study) == {
        ("synthesize_speech", "ag_news", "gb"),
        ("synthesize_speech", "sst2", "gb"),
        ("mix_noise", "sst2", "us", "snr10"),
        *transcripts(*NODES),
        *answers(*NODES),
        *agreement(*NODES),
        *END,
    }


def test_other_arithmetic_of_the_recogniser_leaves_the_speech(finished: Checkout, study: Config) -> None:
    study["transcribe"]["max_new_tokens"] = 4
    assert planned(finished, study) == {*transcripts(*NODES), *answers(*NODES), *agreement(*NODES), *END}


def test_another_seed_of_the_bootstrap_compares_again(finished: Checkout, study: Config) -> None:
    study["statistics"]["seed"] = 1
    assert planned(finished, study) == {*agreement(*NODES), *END}


@pytest.mark.parametrize("section", ["transcribe", "answer"])
def test_the_batch_size_is_no_reason_to_run(finished: Checkout, study: Config, section: str) -> None:
    study[section]["batch_size"] = 3
    assert planned(finished, study) == set()


def test_a_changed_statistic_compares_again(finished: Checkout, study: Config) -> None:
    with finished.edited("src/cascade_equivalence/stats/agreement.py", "import ", "import json\nimport ", first=True):
        assert planned(finished, study) == {*agreement(*NODES), *END}


def test_a_changed_task_module_concerns_that_task(finished: Checkout, study: Config) -> None:
    with finished.edited("src/cascade_equivalence/tasks/sst2.py", 'name = "sst2"', 'name = "sst2"\n    extra = 1'):
        jobs = planned(finished, study)
    assert ("prepare_items", "sst2") in jobs
    assert not [job for job in jobs if "ag_news" in job]


@pytest.mark.parametrize(
    ("path", "old", "new"),
    [
        ("src/cascade_equivalence/stats/agreement.py", '"""', '# A remark.\n\n\n"""More words. '),
        ("src/cascade_equivalence/models/text_llm.py", '"""', '# A remark.\n"""More words. '),
        ("config/tasks.yaml", "tasks:", "# A remark.\ntasks:"),
        ("workflow/Snakefile", '"""', '# A remark.\n"""'),
    ],
)
def test_a_comment_runs_nothing(finished: Checkout, study: Config, path: str, old: str, new: str) -> None:
    with finished.edited(path, old, new, first=True):
        assert planned(finished, study) == set()


def test_a_lost_file_is_made_again_when_it_is_asked_for(finished: Checkout, study: Config) -> None:
    # The tables are there and newer, so nobody needs the answers they were made from.
    file = finished.root / "results/tiny/answers/first/sst2/snr10.parquet"
    hidden = file.rename(file.with_suffix(".hidden"))
    try:
        assert planned(finished, study) == set()
        assert planned(finished, study, "all_answers") == {("answer", "first", "sst2", "snr10"), ("all_answers",)}
    finally:
        hidden.rename(file)


def test_silence_asks_every_system_once_more_and_nothing_else(finished: Checkout, study: Config) -> None:
    study["speech"]["silence"] = True
    silent = [(task, "silence") for task in study["tasks"]]
    assert planned(finished, study) == {
        *(("silence_speech", task, "us") for task in study["tasks"]),
        *transcripts(*silent),
        *answers(*silent),
        *(("compare_over_silence", task) for task in study["tasks"]),
        *END,
    }


def test_a_dry_run_chooses_no_engine_for_good(finished: Checkout, study: Config) -> None:
    study |= {"results": "results/new", "models_folder": "results/new_models"}
    study["transcribe"] = {**study["transcribe"], "engine": "auto"}
    assert planned(finished, study)
    assert not (finished.root / "results/new/store/engine.json").exists()
