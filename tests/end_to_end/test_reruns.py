"""One change to a finished study, run for real: the nodes it concerns run, no others, and a second run does nothing.

The models are random; the numbers show that the right nodes ran, and nothing else.
"""

import shutil
from itertools import product

import polars as pl
from checkout import Job
from reruns import END, NODES, RESULTS, Study

SYSTEMS = ("heard", "first")
PAIR = ("heard", "first")


def answers(*nodes: tuple[str, str], systems: tuple[str, ...] = SYSTEMS) -> set[Job]:
    return {("answer", system, *node) for system, node in product(systems, nodes)}


def transcripts(*nodes: tuple[str, str]) -> set[Job]:
    return {("transcribe", "whisper-a", *node) for node in nodes}


def agreement(*nodes: tuple[str, str], pair: tuple[str, str] = PAIR) -> set[Job]:
    return {("agree", *pair, *node) for node in nodes}


def inside(*layers: str) -> set[Job]:
    """What is made of the states of some layers, for one concept."""
    return {
        *((rule, "speech-a", layer) for rule, layer in product(("probe_layer", "read_lens", "layer_moments"), layers)),
        ("fit_erasers_speech_a", "proxy"),
        *(("answer_erased", "speech-a", concept, "sst2") for concept in ("none", "proxy")),
    }


def test_a_new_study_runs_every_node_once(finished_micro: Study) -> None:
    assert finished_micro.first == {
        *(("resolve_model", model) for model in ("whisper-a", "llama-a", "speech-a")),
        *(("prepare_items", task) for task in ("ag_news", "sst2")),
        *(("synthesize_speech", task, voice) for task, voice in product(("ag_news", "sst2"), ("us", "gb"))),
        ("mix_noise", "sst2", "us", "snr10"),
        ("preflight", "speech-a"),
        *transcripts(*NODES),
        *answers(*NODES),
        *agreement(*NODES),
        ("draw_utterances",),
        ("capture_speech_a",),
        *inside("1"),
        *END,
    }


def test_a_finished_matrix_is_left_alone(micro: Study) -> None:
    made = micro.run(micro.config())
    assert made.code == 0 and made.jobs == set() and made.written == set(), made.output


def test_what_is_added_runs_its_own_nodes(micro: Study) -> None:
    """A system, a task, a noise level and a concept at once; the workflow's tests plan them one by one."""
    study = micro.config()
    study["systems"].append("third")
    study["pairs"].append({"system": "third", "reference": "first", "label": "another LLM"})
    study["tasks"].append("trivia_qa")
    study["noise"]["snr_db"].append(0)
    study["mechanism"]["erasure"]["concepts"] = ["proxy", "ctc"]
    new = (("trivia_qa", "clean"), ("sst2", "snr0"))
    assert micro.ran(study) == {
        ("resolve_model", "llama-b"),
        ("prepare_items", "trivia_qa"),
        *(("synthesize_speech", "trivia_qa", voice) for voice in ("us", "gb")),
        ("mix_noise", "sst2", "us", "snr0"),
        *transcripts(*new),
        *answers(*new),
        *answers(*NODES, *new, systems=("third",)),
        *agreement(*new),
        *agreement(*NODES, *new, pair=("third", "first")),
        ("fit_erasers_speech_a", "ctc"),
        ("answer_erased", "speech-a", "ctc", "sst2"),
        *END,
    }


def test_a_new_voice_asks_only_what_it_says(micro: Study) -> None:
    study, before = micro.config(), micro.stored()
    study["speech"]["voices"].append("gb-male")
    clean = NODES[:2]
    assert micro.ran(study) == {
        *(("synthesize_speech", task, "gb-male") for task in ("ag_news", "sst2")),
        *transcripts(*clean),
        *answers(*clean),
        *agreement(*clean),
        *END,
    }
    # The other voices' answers share a file with the new ones'; they are taken from the store, which only grew.
    after = micro.stored()
    assert all(after[path].startswith(content) for path, content in before.items())
    for system in SYSTEMS:
        path = RESULTS / "store" / "answers" / system / "ag_news" / "clean.jsonl"
        old, new = (stored[path.as_posix()].count(b"\n") for stored in (before, after))
        heard = pl.read_parquet(micro.root / RESULTS / "answers" / system / "ag_news" / "clean.parquet")
        assert heard.height == 12 and new - old <= 4, system


def test_a_new_layer_watches_its_model_once_more(micro: Study) -> None:
    study = micro.config()
    study["mechanism"]["layers"] = {"speech-a": [0, 1]}
    # One pass makes the states of all layers; clips, transcripts and answers are left, those under no erasure as well.
    left = ("answer_erased", "speech-a", "none", "sst2")
    assert micro.ran(study) == {("capture_speech_a",), *inside("0", "1"), *END} - {left}


def test_a_changed_prompt_asks_that_task_again(micro: Study) -> None:
    study = micro.config()
    study["definitions"]["tasks"] = {"ag_news": {"prompt": "What is this about? {speech}", "max_new_tokens": 6}}
    node = NODES[0]
    assert micro.ran(study) == {*answers(node), *agreement(node), *END}


def test_changed_settings_of_statistics_plan_no_model(micro: Study) -> None:
    for setting, wanted in (({"draws": 60}, {*agreement(*NODES), *END}), ({"fdr": 0.1}, END)):
        study = micro.config()
        study["statistics"] |= setting
        plan = micro.checkout.plan(study)
        assert plan.code == 0 and plan.jobs == wanted, (setting, plan.output)


def test_other_weights_in_the_same_folder_are_another_model(micro: Study) -> None:
    before = micro.checkout.files(f"{RESULTS}/transcripts/whisper-a/**/*.parquet")
    shutil.rmtree(micro.models / "whisper-a")
    shutil.copytree(micro.models / "whisper-b", micro.models / "whisper-a")
    assert micro.ran(micro.config()) == {
        ("resolve_model", "whisper-a"),
        *transcripts(*NODES),
        *answers(*NODES, systems=("first",)),
        *agreement(*NODES),
        *END,
    }
    after = micro.checkout.files(f"{RESULTS}/transcripts/whisper-a/**/*.parquet")
    assert before.keys() == after.keys() and [path for path in before if before[path] == after[path]] == []
