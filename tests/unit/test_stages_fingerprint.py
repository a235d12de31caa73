"""A node is made again when the code of its stage changes, and only then."""

import ast
import shutil
from pathlib import Path

import pytest

from cascade_equivalence.conditions import NOISE_KINDS
from cascade_equivalence.config.names import VOICES
from cascade_equivalence.stages.fingerprint import PACKAGE, STAGES, code_fingerprint, files_of, of_package

SCRIPTS = PACKAGE.parents[1] / "workflow" / "scripts"
RUN_BY = {
    "resolve": ("resolve_model",),
    "items": ("prepare_items",),
    "fetch_set": ("fetch_set",),
    "fetch_dataset": ("fetch_set",),
    "dataset_clips": ("extract_audio",),
    "recordings": ("extract_audio",),
    "speech": ("synthesize_speech",),
    "noise": ("mix_noise",),
    "silence": ("silence_speech",),
    "musan": ("fetch_musan", "unpack_musan"),
    "transcribe": ("transcribe",),
    "transcripts": ("transcribe",),
    "listen": ("answer", "transcribe"),
    "answer": ("answer",),
    "answer_again": ("answer_again",),
    "answer_vllm": ("answer",),
    "answer_api": ("answer_api",),
    "transcribe_api": ("transcribe_api",),
    "answer_imported": ("answer_imported",),
    "preflight": ("preflight",),
    "training_texts": ("connector_texts", "adapter_texts"),
    "training_shards": ("connector_shard",),
    "training_frames": ("connector_frames",),
    "training_distil": ("connector_distil", "connector_evaluation"),
    "adapter_shards": ("adapter_shard",),
    "adapter_training": ("adapter_training", "adapter_evaluation"),
    "utterances": ("draw_utterances",),
    "states": ("capture_states",),
    "probes": ("probe_layer",),
    "lens": ("read_lens",),
    "implicit": ("implicit_transcripts",),
    "moments": ("layer_moments",),
    "erasers": ("fit_erasers",),
    "erasure": ("answer_erased",),
    "surplus": ("measure_surplus",),
    "agree": ("agree", "agree_again", "contrast"),
    "floor": ("compare_over_silence",),
    "tables": ("collect_tables",),
    "paper": ("compare_with_paper",),
    "figures": ("draw_figures",),
    "page": ("write_report",),
}
# What a node names beside its stage: its own task or voice. Here all of them, for what any node may need.
OF_A_NODE = {
    "items": ("tasks/*.py",),
    "answer": ("tasks/*.py",),
    "agree": ("stats/retest.py",),
    "answer_api": ("tasks/*.py",),
    "speech": tuple(module for provider in VOICES.values() for module in provider.modules),
    "noise": tuple(module for kind in NOISE_KINDS.values() for module in kind.modules),
}

# Imported, and yet not counted. In every stage:
EXEMPT = {
    "errors.py": "the words of an error are in no result",
    "progress.py": "what is shown on the way is in no result",
    "files.py": "writes what it is given",
    "identity.py": "the same, and of what it is",
    "secrets.py": "what is hidden from messages is in no result",
    "hub_files.py": "whether a file is whole",
    "hub_errors.py": "the words of an error are in no result",
    "locked.py": "who waits for whom is in no result",
    "conditions.py": "kind and level that it reads off a name are parameters of the node",
    "registry.py": "finds what the node names",
    "speech/noise_kinds/base.py": "what a kind says of itself; the kind's own modules are the node's",
    "pins/*.py": "which packages are installed stands in the records",
    "config/*.py": "the values are parameters of the node",
    "jobs/script.py": "starts a script and ends it",
    "jobs/work.py": "the same",
    "stages/*.py": "paths; what it derives for a node are parameters of the node",
    "tasks/repeats.py": "what a variant changes is counted where a system is asked again",
    "jobs/warm.py": "where a script runs, not what it does",
    "jobs/processes.py": "when a process ends, and where it compiles",
    "models/tensor_files.py": "orders the names in a header; what is read is the same",
    "models/kept.py": "keeps what was opened; it is the same",
    "models/store.py": "keeps records under keys that others decide",
    "speech/store.py": "keeps clips under keys that name all they depend on",
    "speech/provider.py": "opens the voice that the node names",
    "speech/voices/*.py": "the same; the modules that the provider names are the node's",
    "tasks/sources/pins.py": "the sources are parameters of the node",
    "tasks/sources/resources.py": "finds the project's lists",
    "tasks/registry.py": "finds the task that the node names; a new task is a line more and no change to the others",
}
# A node that hears and answers, or is made from what others made, has the fingerprints of several stages.
BESIDE = {
    "speech/*.py": "reads clips, whose nodes are made again first",
    "models/sources/*.py": "reads manifests, whose nodes are made again first",
    "models/*.py": "the stages answer and listen are counted where they run",
    "models/speech_llm/*.py": "the stage listen is counted where it runs",
    "models/transcription/*.py": "the stages transcribe and transcripts are counted where they run",
    "nodes/answers.py": "the stage answer is counted where it runs",
    "nodes/transcripts.py": "the stage transcripts is counted where it runs",
    "tasks/*.py": "prompts and items; the stage answer is counted where they decide",
    "adapter/*.py": "a stage's input is made by the stages before it, which are made again first",
    "connector/*.py": "a stage's input is made by the stages before it, which are made again first",
}
SHOWN = {
    "models/transcription/words.py": "names of columns of transcripts, whose nodes are made again first",
    "mechanism/concept.py": "the node counts the module of the concepts themselves",
    "models/sources/*.py": "reads manifests, whose nodes are made again first",
    "tasks/*.py": "labels; the answers, which depend on the task's module, are made again first",
    "__init__.py": "the version",
}
DRAWN = {"mechanism/utterances.py": "says which utterances train; their node is made again first"}
ASKING = {
    f"models/api/{name}.py": "when and whether a question is asked decides no answer"
    for name in ("ending", "failures", "keys", "ledger", "limits")
}
# In one stage:
ELSEWHERE = {
    **dict.fromkeys(("transcribe", "transcripts", "listen", "preflight"), BESIDE),
    **{f"training_{stage}": BESIDE for stage in ("texts", "shards", "frames", "distil")},
    **{f"adapter_{stage}": BESIDE for stage in ("shards", "training")},
    **dict.fromkeys(("utterances", "states", "lens", "implicit", "erasure", "surplus"), BESIDE),
    **dict.fromkeys(("probes", "moments", "erasers"), DRAWN),
    "resolve": {
        "models/speech_llm/*.py": "opens what is resolved; what a checkpoint is of says its architecture",
        **dict.fromkeys(("models/answering.py", "models/question.py", "models/text_llm.py"), "the same"),
    },
    "items": {
        "tasks/parsing.py": "how answers are read decides no item",
        "tasks/sources/*.py": "counted where a task is read from a data set; what is fetched is made again first",
    },
    "fetch_set": {
        "models/sources/*.py": "hashes; what is fetched is known by its hash",
        "tasks/sources/dataset*.py": "the stage fetch_dataset is counted where it runs",
    },
    "fetch_dataset": {
        "models/sources/*.py": "keeps what is fetched",
        "tasks/sources/*.py": "the stage fetch_set is counted where it runs",
    },
    "dataset_clips": {
        "speech/*.py": "the stage recordings is counted where it runs",
        "tasks/*.py": "the task's own module is counted by the node",
        "tasks/sources/*.py": "what is fetched is made again first",
    },
    "musan": {"models/sources/*.py": "hashes; what is fetched is known by its hash"},
    "recordings": {
        "models/sources/files.py": "hashes",
        "speech/dataset_clips.py": "the stage dataset_clips is counted where it runs",
        "tasks/own.py": "the same",
        "speech/clips.py": "what a clip is; a recording is none yet",
        "tasks/parsing.py": "how answers are read decides no item",
        "tasks/sources/fetch.py": "the archive's node is made again first",
    },
    "answer_imported": dict.fromkeys(
        ("tasks/items.py", "tasks/published.py"), "reads the items file, whose node is made again first"
    ),
    "speech": {"tasks/*.py": "reads the items file, whose node is made again first"},
    "answer_again": BESIDE,
    "answer_vllm": {
        **BESIDE,
        "speech/*.py": "reads clips, whose nodes are made again first",
        "tasks/sources/*.py": "items, whose node is made again first",
    },
    "answer": {
        "models/engines.py": "the stage answer_vllm is counted where it runs",
        "models/vllm_*.py": "the stage answer_vllm is counted where it runs",
        "tasks/sources/*.py": "items, whose node is made again first",
        "models/sources/*.py": "reads the manifest, whose node is made again first",
        "speech/*.py": "reads clips, whose nodes are made again first",
        "models/speech_llm/*.py": "the stage listen is counted where it runs",
        "models/transcription/table.py": "says where the clips are",
    },
    "answer_api": {
        "tasks/sources/*.py": "items, whose node is made again first",
        "models/sources/*.py": "reads no manifest",
        "speech/*.py": "reads clips, whose nodes are made again first",
        "models/transcription/*.py": "says where the clips are",
        "models/question.py": "the forms of questions and answers",
        "models/device.py": "computes nothing itself",
        "models/recording.py": "the form of a clip",
        "models/api/client_transcription.py": "the stage transcribe_api is counted where it runs",
        **ASKING,
    },
    "transcribe_api": {
        **BESIDE,
        **ASKING,
        **{f"models/api/client_{name}.py": "the stage answer_api is counted" for name in ("gemini", "openai")},
    },
    "agree": {
        "models/sources/*.py": "reads manifests, whose nodes are made again first",
        "tasks/*.py": "labels; the answers, which depend on the task's module, are made again first",
    },
    **dict.fromkeys(("tables", "paper", "figures", "page"), SHOWN),
}


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """A copy of the package, to be changed."""
    copy = tmp_path / "package"
    shutil.copytree(PACKAGE, copy, ignore=shutil.ignore_patterns("__pycache__"))
    return copy


def fingerprints(package: Path, *stages: str) -> dict[str, str]:
    of_package.cache_clear()
    return {stage: code_fingerprint(stage, package=package) for stage in stages or STAGES}


def files(*patterns: str) -> set[str]:
    wanted = [pattern for pattern in patterns if any(PACKAGE.glob(pattern.removeprefix("!")))]
    return {path.relative_to(PACKAGE).as_posix() for path in files_of(wanted)}


MODULES = sorted(name for stage in STAGES for name in files(*STAGES[stage]) if name.endswith(".py"))


def imported(path: Path) -> set[str]:
    """Modules of the package that a file imports, anywhere in it."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} imports relatively"
            names |= {str(node.module), *(f"{node.module}.{alias.name}" for alias in node.names)}
        elif isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
    inside = [name.partition(".")[2].replace(".", "/") for name in names if name.startswith(f"{PACKAGE.name}.")]
    return files(*(f"{name}.py" for name in inside))


# -- what changes a fingerprint -------------------------------------------------------------------------


def test_a_copy_has_the_same_fingerprints(package: Path) -> None:
    before = fingerprints(PACKAGE)
    assert fingerprints(package) == before
    assert len(set(before.values())) == len(STAGES)
    assert all(len(value) == 16 and int(value, 16) >= 0 for value in before.values())


def test_prose_and_layout_change_nothing(package: Path) -> None:
    before = fingerprints(package)
    for name in set(MODULES):
        path = package / name
        tree = ast.parse(path.read_text(encoding="utf-8"))
        for node in ast.walk(tree):
            if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef):
                start = 1 if ast.get_docstring(node) is not None else 0
                node.body = [ast.parse("'''Other words.'''").body[0], *node.body[start:]]
        # Another layout: comments lost, quotes and line breaks changed, and a remark below the last constant.
        path.write_text(f"# A remark.\n\n\n{ast.unparse(tree)}\n\n'''Said of it.'''  # and more\n", encoding="utf-8")
    assert fingerprints(package) == before


@pytest.mark.parametrize("name", sorted({MODULES[0], *MODULES[::12], "stats/agreement.py", "tasks/parsing.py"}))
def test_code_changes_its_own_stages_and_no_other(name: str, package: Path) -> None:
    before = fingerprints(package)
    path = package / name
    path.write_text(path.read_text(encoding="utf-8") + "\nMORE = 1\n", encoding="utf-8")
    after = fingerprints(package)
    assert {stage for stage in STAGES if after[stage] != before[stage]} == {
        stage for stage in STAGES if name in files(*STAGES[stage])
    }


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("x = 1", "x = 2"),
        ("x = 'a'", "x = 'b'"),
        ("def f():\n    return 1", "def f():\n    return 2"),
        ("def f(x=1): return x", "def f(x=2): return x"),
        ("def f():\n    'doc'\n    return 'doc'", "def f():\n    'doc'\n    return 'dock'"),
        ("async def f():\n    return 1", "async def f():\n    return 2"),
        ("if x:\n    y()", "if x:\n    y()\nelse:\n    z()"),
        ("a()\nb()", "b()\na()"),
        ("f = lambda: 1", "f = lambda: 2"),
    ],
)
def test_any_change_of_code_counts(one: str, other: str, package: Path) -> None:
    path = package / "stats" / "agreement.py"
    found = []
    for code in (one, f"# remark\n{one}  # more\n\n", other):
        path.write_text(code, encoding="utf-8")
        found.append(fingerprints(package, "agree")["agree"])
    assert found[0] == found[1] != found[2]


def test_docstrings_of_all_kinds_are_prose(package: Path) -> None:
    path = package / "stats" / "agreement.py"
    kinds = (
        "'''{}'''\nX = 1\n'''{} of X'''\nclass C:\n    '''{}'''\n    y: int = 1\n    '''{}'''\n"
        "    def f(self):\n        '''{}'''\n    async def g(self):\n        '''{}'''\n"
    )
    found = set()
    for words in ("One.", "Two."):
        path.write_text(kinds.replace("{}", words), encoding="utf-8")
        found.add(fingerprints(package, "agree")["agree"])
    assert len(found) == 1


def test_a_template_counts_to_the_letter(package: Path) -> None:
    before = fingerprints(package)
    path = next((package / "report" / "templates").iterdir())
    path.write_text(path.read_text(encoding="utf-8") + "\n", encoding="utf-8")
    assert {stage for stage, value in fingerprints(package).items() if value != before[stage]} == {"page"}


def test_a_new_task_or_voice_leaves_the_others_alone(package: Path) -> None:
    own = {"items": "tasks/sst2.py", "answer": "tasks/sst2.py", "speech": "speech/espeak*.py"}

    def of_nodes() -> dict[str, str]:
        of_package.cache_clear()
        return {stage: code_fingerprint(stage, name, package=package) for stage, name in own.items()}

    before, stages = of_nodes(), fingerprints(package)
    (package / "tasks" / "foo.py").write_text("X = 1\n")
    (package / "speech" / "foo_voice.py").write_text("X = 1\n")
    registry = package / "tasks" / "registry.py"
    registry.write_text(registry.read_text(encoding="utf-8") + "\nMORE = 1\n")
    assert (of_nodes(), fingerprints(package)) == (before, stages)
    for name, changed in (("tasks/sst2.py", {"items", "answer"}), ("speech/espeak_worker.py", {"speech"})):
        path = package / name
        path.write_text(path.read_text(encoding="utf-8") + "\nMORE = 1\n", encoding="utf-8")
        after = of_nodes()
        assert {stage for stage in own if after[stage] != before[stage]} == changed
        before = after


def test_a_new_file_of_a_stage_counts_and_so_does_its_name(package: Path) -> None:
    before = fingerprints(package, "page")["page"]
    new = package / "report" / "more.py"
    new.write_text("X = 1\n")
    after = fingerprints(package, "page")["page"]
    new.rename(package / "report" / "most.py")
    assert len({before, after, fingerprints(package, "page")["page"]}) == 3


def test_what_only_draws_is_no_reason_to_make_a_table(package: Path) -> None:
    concerned = {
        "report/figures/costs.py": {"figures"},
        "report/verdict.py": {"page"},
        "report/paper_tables.py": {"paper", "page"},
        "report/tables.py": {"tables", "paper", "figures", "page"},
    }
    before = fingerprints(package)
    for name, stages in concerned.items():
        path = package / name
        path.write_text(path.read_text(encoding="utf-8") + "\nMORE = 1\n", encoding="utf-8")
        after = fingerprints(package)
        assert {stage for stage in STAGES if after[stage] != before[stage]} == stages, name
        before = after


def test_a_module_that_is_gone_is_an_error(package: Path) -> None:
    (package / "models" / "text_llm.py").unlink()
    of_package.cache_clear()
    with pytest.raises(FileNotFoundError, match=r"models/text_llm\.py.*answer"):
        code_fingerprint("answer", package=package)
    with pytest.raises(FileNotFoundError, match=r"tasks/sst3\.py"):
        code_fingerprint("items", "tasks/sst3.py", package=package)


# -- what belongs to a stage ----------------------------------------------------------------------------


@pytest.mark.parametrize("stage", STAGES)
def test_every_pattern_finds_a_file(stage: str) -> None:
    for pattern in (*STAGES[stage], *OF_A_NODE.get(stage, ())):
        assert files(pattern.removeprefix("!")), pattern


@pytest.mark.parametrize("stage", STAGES)
def test_every_module_that_a_stage_imports_is_counted_or_exempt(stage: str) -> None:
    counted = files(*STAGES[stage], *OF_A_NODE.get(stage, ()))
    sources = [PACKAGE / name for name in counted if name.endswith(".py")]
    sources += [SCRIPTS / f"{name}.py" for name in RUN_BY[stage]]
    needed = set().union(*map(imported, sources))
    assert needed & counted
    assert needed - counted - files(*EXEMPT, *ELSEWHERE.get(stage, ())) == set()


def test_every_script_runs_a_stage() -> None:
    assert {name for names in RUN_BY.values() for name in names} == {path.stem for path in SCRIPTS.glob("*.py")}
    assert set(RUN_BY) == set(STAGES)


def test_no_exemption_is_stale() -> None:
    everything = {name for path in (*PACKAGE.rglob("*.py"), *SCRIPTS.glob("*.py")) for name in imported(path)}
    for pattern in (*EXEMPT, *(name for names in ELSEWHERE.values() for name in names)):
        assert files(pattern) & (everything | {"__init__.py"}), pattern
