"""A node is made again when code that it runs changes, and only then."""

import ast
import inspect
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from cascade_equivalence import stages
from cascade_equivalence.conditions import NOISE_KINDS
from cascade_equivalence.config.names import VOICES
from cascade_equivalence.stages.fingerprint import COUNTED_BY, PACKAGE, UNCOUNTED, excluded, modules_of

WORKFLOW = PACKAGE.parents[1] / "workflow"
SCRIPTS = sorted(path.stem for path in (WORKFLOW / "scripts").glob("*.py"))
UTTERANCES = "mechanism/utterances.py"
REACHED = {script: modules_of(PACKAGE).reached(script) for script in SCRIPTS}
COUNTED = sorted(set().union(*(counted for counted, _ in REACHED.values())))
# Scripts that import nothing heavy, and only what they need.
LIGHT = ("agree", "collect_tables", "mix_noise", "prepare_items")
IMPORTING = """
import ast, json, sys
for path in sys.argv[1:]:
    for block in ast.parse(open(path, encoding="utf-8").read()).body:
        for node in ast.walk(block) if isinstance(block, ast.With) else ():
            if isinstance(node, ast.ImportFrom):
                exec(ast.unparse(node))
found = [module.__file__ for name, module in sys.modules.items() if name.startswith("cascade_equivalence")]
print(json.dumps(found))
"""


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """A copy of the package beside the scripts, to be changed."""
    shutil.copytree(WORKFLOW / "scripts", tmp_path / "workflow" / "scripts")
    copy = tmp_path / "src" / "cascade_equivalence"
    shutil.copytree(PACKAGE, copy, ignore=shutil.ignore_patterns("__pycache__", "*.safetensors"))
    return copy


def fingerprints(package: Path, *own: str) -> dict[str, str]:
    modules_of.cache_clear()
    return {script: modules_of(package).fingerprint(script, own, ()) for script in SCRIPTS}


def add_to(path: Path, code: str = "\nMORE = 1\n") -> None:
    path.write_text(path.read_text(encoding="utf-8") + code, encoding="utf-8")


# -- what changes a fingerprint -------------------------------------------------------------------------


def test_a_copy_has_the_same_fingerprints(package: Path) -> None:
    before = fingerprints(PACKAGE)
    assert fingerprints(package) == before
    assert all(len(value) == 16 and int(value, 16) >= 0 for value in before.values())


def test_prose_and_layout_change_nothing(package: Path) -> None:
    before = fingerprints(package)
    for path in sorted(package.rglob("*.py"))[::4]:
        tree = ast.parse(path.read_text(encoding="utf-8"))
        for node in ast.walk(tree):
            if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef):
                start = 1 if ast.get_docstring(node) is not None else 0
                node.body = [ast.parse("'''Other words.'''").body[0], *node.body[start:]]
        # Another layout: comments lost, quotes and line breaks changed, and a remark below the last constant.
        path.write_text(f"# A remark.\n\n\n{ast.unparse(tree)}\n\n'''Said of it.'''  # and more\n", encoding="utf-8")
    assert fingerprints(package) == before


def test_code_changes_the_scripts_that_reach_it_and_no_other(package: Path) -> None:
    before = fingerprints(package)
    uncounted = ("__init__.py", "config/names.py", "stages/study.py", "models/sources/hub.py", "tasks/registry.py")
    for name in (*COUNTED[::60], *uncounted, "stats/agreement.py", "tasks/parsing.py", "connector/card.md"):
        add_to(package / name)
        after = fingerprints(package)
        changed = {script for script in SCRIPTS if after[script] != before[script]}
        assert changed == {script for script, (counted, _) in REACHED.items() if name in counted}, name
        before = after


@pytest.mark.parametrize(
    ("name", "scripts"),
    [
        ("report/figures/costs.py", {"draw_figures"}),
        ("report/templates/report.html", {"write_report"}),
        ("report/verdict.py", {"write_report"}),
        ("report/paper_tables.py", {"compare_with_paper", "write_report"}),
        ("report/tables.py", {"collect_tables", "compare_with_paper", "draw_figures", "write_report"}),
        ("stats/tango.py", {"agree", "agree_again", "compare_over_silence", "contrast"}),
        ("nodes/erasure.py", {"answer_erased", "patch_states", "steer_states"}),
        ("tasks/pairs.py", {"answer_conflict", "patch_states"}),
        ("models/speech_llm/ultravox.py", {"answer", "answer_again", "answer_erased", "capture_states"}),
    ],
)
def test_what_a_change_concerns(name: str, scripts: set[str]) -> None:
    found = {script for script, (counted, _) in REACHED.items() if name in counted}
    assert scripts <= found
    if not name.startswith("models"):
        shown = {"collect_tables", "compare_with_paper", "draw_figures", "write_report"}
        assert found - scripts <= (shown if name.startswith("stats") else set())


def test_a_new_task_or_voice_leaves_the_others_alone(package: Path) -> None:
    own = {"tasks/sst2.py": ["prepare_items", "answer"], "speech/espeak*.py": ["synthesize_speech"]}
    before = {glob: fingerprints(package, glob) for glob in own}
    (package / "tasks" / "foo.py").write_text("X = 1\n")
    (package / "speech" / "foo_voice.py").write_text("X = 1\n")
    for registry in ("tasks/registry.py", "speech/voices/registry.py"):
        add_to(package / registry, "\nfrom cascade_equivalence.tasks.foo import X\n")
    assert {glob: fingerprints(package, glob) for glob in own} == before
    for name, glob in (("tasks/sst2.py", "tasks/sst2.py"), ("speech/espeak_worker.py", "speech/espeak*.py")):
        add_to(package / name)
        assert all(fingerprints(package, glob)[script] != before[glob][script] for script in own[glob])
    own_modules = [*(voice.modules for voice in VOICES.values()), *(kind.modules for kind in NOISE_KINDS.values())]
    assert all(any(package.glob(glob)) for modules in own_modules for glob in modules)


def test_a_module_that_is_gone_is_an_error(package: Path) -> None:
    modules = modules_of(package)
    with pytest.raises(FileNotFoundError, match=r"tasks/sst3\.py"):
        modules.reached("prepare_items", ["tasks/sst3.py"])
    with pytest.raises(FileNotFoundError, match=r"models/gone\.py"):
        modules.reached("answer", without=["models/gone.py"])


# -- what is reached ------------------------------------------------------------------------------------


def test_all_that_is_imported_or_named_is_reached_but_what_a_type_checker_reads(tmp_path: Path) -> None:
    package, scripts = tmp_path / "src" / "cascade_equivalence", tmp_path / "workflow" / "scripts"
    ours = "from cascade_equivalence"
    files = {
        "a.py": f"from typing import TYPE_CHECKING\n{ours}.b import B\n"
        f"if TYPE_CHECKING:\n    {ours}.typed import T\nelse:\n    import cascade_equivalence.other\n",
        "b.py": f"def late():\n    {ours}.inner import late\nclass B:\n    home = 'cascade_equivalence.c'\n",
        "c.py": "from pathlib import Path\nCARD = Path(__file__).with_name('card.md')\n"
        "def all_of_them():\n    return Path(__file__).parent / 'all'\n",
        "config/names.py": "ONE = list('cascade_equivalence.one')\nTWO: list = list('cascade_equivalence.two')\n",
        "inner/__init__.py": "X = 1\n",
        "inner/late.py": f"{ours}.config.names import ONE\n{ours} import errors\n",
        "all/one.txt": "",
        "errors.py": f"{ours}.behind import X\n",
        **dict.fromkeys(("__init__.py", "typed.py", "other.py", "card.md", "one.py", "two.py", "behind.py"), ""),
    }
    for name, text in files.items():
        (package / name).parent.mkdir(parents=True, exist_ok=True)
        (package / name).write_text(text)
    scripts.mkdir(parents=True)
    (scripts / "one.py").write_text("with node() as study:\n    from cascade_equivalence.a import a\n")
    counted, ends = modules_of(package).reached("one")
    assert ends == {"__init__.py", "config/names.py", "errors.py"}
    assert counted == files.keys() - ends - {"typed.py", "two.py", "behind.py"}
    # What a node says of itself goes before all lists; what it does not run is left out with what is behind it.
    found = modules_of(package).reached("one", ["errors.py"], ["b.py"])[0]
    assert found == {"a.py", "other.py", "errors.py", "behind.py"}


@pytest.mark.parametrize("script", LIGHT)
def test_what_python_imports_counts_or_lies_behind_an_exclusion(script: str) -> None:
    command = [sys.executable, "-c", IMPORTING, str(WORKFLOW / "scripts" / f"{script}.py")]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    loaded = {Path(file).relative_to(PACKAGE).as_posix() for file in json.loads(done.stdout)}
    (counted, ends), behind = REACHED[script], set[str]()
    # What stages and jobs import is not imported here.
    while more := {file for file in ends if not file.startswith(("stages/", "jobs/"))} - behind:
        behind |= more
        ends = modules_of(PACKAGE).reached(script, behind)[1]
    assert loaded & counted
    assert loaded - counted <= modules_of(PACKAGE).reached(script, behind)[0]


def test_no_module_imports_relatively() -> None:
    for path in PACKAGE.rglob("*.py"):
        found = [node for node in ast.walk(ast.parse(path.read_text("utf-8"))) if isinstance(node, ast.ImportFrom)]
        assert not any(node.level for node in found), path


def test_no_exclusion_is_stale() -> None:
    ends = {(file, script) for script, (_, files) in REACHED.items() for file in files}
    assert {glob for end in ends for glob in excluded(*end)} == {*" ".join(UNCOUNTED.values()).split(), *COUNTED_BY}
    for glob, (scripts, _) in COUNTED_BY.items():
        files = {path.relative_to(PACKAGE).as_posix() for path in PACKAGE.glob(glob)}
        for each in scripts.split():
            named = [script for script in SCRIPTS if re.fullmatch(each.replace("*", r"\w*"), script)]
            assert any(REACHED[script][0] & files for script in named), (glob, each)


def test_what_nodes_are_said_to_run_or_not_is_reached_by_a_script() -> None:
    texts = [path.read_text("utf-8") for path in (PACKAGE / "stages").glob("*.py") if path.stem != "fingerprint"]
    globs = {glob for text in texts for glob in re.findall(r'"([a-z]+/[a-z_/]*(?:\.py|\*))"', text)}
    assert {"models/speech_llm/*", "models/vllm_answers.py"} <= globs
    for glob in globs:
        assert {file.relative_to(PACKAGE).as_posix() for file in PACKAGE.glob(glob)} & set(COUNTED), glob


def test_the_nodes_of_each_rule_count_its_own_script() -> None:
    found = 0
    for path in (WORKFLOW / "rules").glob("*.smk"):
        for script, settings in re.findall(r'MADE_BY\("(\w+)", "\w+"\),(.*?)message:', path.read_text("utf-8"), re.S):
            module, function = re.findall(r"stages\.(\w+)\.(\w+)\(\s*STUDY", settings)[-1]
            says = inspect.getsource(getattr(getattr(stages, module), function)) + settings
            assert f'"{script}"' in says, (path.name, script)
            found += 1
    assert found >= len(SCRIPTS)


def test_no_answer_counts_which_utterances_models_are_watched_on() -> None:
    scripts = ("answer", "answer_share", "answer_again", "answer_conflict")
    assert not [script for script in scripts if UTTERANCES in REACHED[script][0]]
