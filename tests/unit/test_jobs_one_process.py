"""Nodes that share a process: each has what it would have by itself, and none can tell what ran there before it."""

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest
import tiny_llm
import torch

from cascade_equivalence.jobs import one_process, worker
from cascade_equivalence.jobs.last_opened import SAID
from cascade_equivalence.jobs.processes import STARTED_BY
from cascade_equivalence.jobs.reach import private_folder
from cascade_equivalence.jobs.slurm import JOB

LIBRARY = Path(worker.__file__).parents[2]
PATIENCE = 300.0
CLIENT = """
import os, sys
from types import SimpleNamespace
from cascade_equivalence.jobs import one_process
job = SimpleNamespace(threads={threads}, resources={{"one_process": 1}}, log=[{log!r}])
if one_process.wanted(job) and (status := one_process.run(job, {imports!r})) is not None:
    os._exit(status)
"""
WHOSE = "import os; print(os.getpid())"
LONG = "import os, time; print(os.getpid(), flush=True); time.sleep(600)"


@pytest.fixture
def tmp_path() -> Iterator[Path]:
    """A folder with a short name: a socket's path has about 100 characters at most, and pytest's own may have more."""
    with tempfile.TemporaryDirectory(prefix="one", ignore_cleanup_errors=True) as folder:
        yield Path(folder)


@pytest.fixture
def owner(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[subprocess.Popen[bytes]]:
    """A process that stands for the Snakemake of a job."""
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    monkeypatch.setenv(STARTED_BY, str(process.pid))
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setenv("PYTHONPATH", str(LIBRARY))
    yield process
    process.kill()
    process.wait()
    wait_for(lambda: not workers(process))


def start(folder: Path, body: str, imports: tuple[str, ...] = (), threads: int = 1, **options) -> subprocess.Popen[str]:
    """Start a script that runs its body in the shared process, if it can."""
    script = folder / f"script{len(list(folder.glob('script*')))}.py"
    script.write_text(CLIENT.format(imports=imports, threads=threads, log=str(folder / "node.log")) + body)
    return subprocess.Popen(
        [sys.executable, str(script), "word"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options
    )


def output(folder: Path, body: str, imports: tuple[str, ...] = (), threads: int = 1, **options) -> tuple[int, str, str]:
    process = start(folder, body, imports, threads, **options)
    out, err = process.communicate(timeout=PATIENCE)
    return process.returncode, out, err


def wait_for(condition) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def gone(number: int) -> bool:
    """Whether a process has ended, even if nobody has taken note of it."""
    try:
        return psutil.Process(number).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def workers(owner: subprocess.Popen[bytes]) -> list[int]:
    """Processes that nodes of a run share."""
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            words = process.cmdline()
            if one_process.SERVER in words and str(owner.pid) in words and not gone(process.pid):
                found.append(process.pid)
    return found


def test_nodes_run_one_after_the_other_in_one_process(owner, tmp_path):
    body = f"{WHOSE}\nprint(one_process.spent)"
    found = [output(tmp_path, body)[1].split() for _ in range(3)]
    assert [*{int(number) for number, _ in found}] == workers(owner)
    # What others have spent is not a node's.
    spent = [float(seconds) for _, seconds in found]
    assert spent[0] == 0 < spent[1] <= spent[2]


def test_nodes_that_start_together_wait_for_each_other(owner, tmp_path):
    body = "import os, time; print(os.getpid(), time.monotonic()); time.sleep(0.1); print(time.monotonic())"
    processes = [start(tmp_path, body) for _ in range(4)]
    told = [process.communicate(timeout=PATIENCE)[0].split() for process in processes]
    assert len({number for number, _, _ in told}) == 1
    times = [float(moment) for _, *both in sorted(told, key=lambda one: float(one[1])) for moment in both]
    assert times == sorted(times)


def test_a_node_has_what_its_script_would_have(owner, tmp_path):
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    environment = os.environ | {"FLAVOUR": "salt"}
    body = (
        "import os, sys; print(os.getcwd(), sys.argv[1], os.environ['FLAVOUR'], __name__); print('e', file=sys.stderr)"
    )
    assert output(tmp_path, "pass")[0] == 0
    code, out, err = output(tmp_path, body, cwd=folder, env=environment)
    assert (code, out.split(), err) == (0, [str(folder), "word", "salt", "__main__"], "e\n")


CHANGES = """
import logging, os, random, signal, sys, tempfile, warnings
logging.root.addHandler(logging.NullHandler()); logging.getLogger('asyncio').setLevel(3)
os.environ['FLAVOUR'] = 'salt'; os.environ.pop('TMPDIR'); os.chdir('/'); os.umask(0o777)
random.seed(3); sys.argv[1:] = ['others']; sys.path.insert(0, '/nowhere'); sys.stdout = sys.stderr
signal.signal(signal.SIGTERM, signal.SIG_IGN); warnings.simplefilter('error')
own = 1
"""
SAYS = """
import logging, os, random, signal, sys, tempfile, warnings
print(os.environ.get('FLAVOUR'), os.environ['TMPDIR'], os.getcwd(), os.umask(0), sys.argv[1:], sys.path[:3])
print(signal.getsignal(signal.SIGTERM), warnings.filters, logging.root.handlers, tempfile.gettempdir(), 'own' in dir())
print(sys.modules['__main__'].__dict__ is globals(), logging.getLogger('asyncio').level)
"""


def test_what_a_node_changes_does_not_reach_the_next(owner, tmp_path):
    imports = ("asyncio",)
    found = [output(tmp_path, body, imports) for body in (SAYS, WHOSE, CHANGES, WHOSE, SAYS)]
    assert [code for code, _, _ in found] == [0] * 5, found
    assert found[1][1] == found[3][1] and found[0][1] == found[4][1]


def test_what_a_node_has_not_yet_written_does_not_reach_the_next(owner, tmp_path):
    """Of Python's streams, though the script has put others in their place, and of the C library's."""
    body = "import ctypes, io, sys; print('own'); ctypes.CDLL(None).printf(b'in C\\n'); sys.stdout = io.StringIO()"
    # An environment may say that nothing is held back.
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    found = [output(tmp_path, each, env=environment) for each in (body, WHOSE, body, WHOSE)]
    assert [{*out.splitlines()} for _, out, _ in found[::2]] == [{"own", "in C"}] * 2
    assert found[1] == found[3] and found[1][1].strip().isdigit()


TORCH = """
import random, numpy, torch
print(torch.get_num_threads(), torch.get_default_dtype(), torch.is_grad_enabled(), torch.backends.cudnn.benchmark)
print(torch.get_float32_matmul_precision(), torch.get_deterministic_debug_mode())
print(random.random(), numpy.random.random(), torch.rand(2).tolist(), file=sys.stderr)
torch.manual_seed(3); torch.set_num_threads(2); torch.set_default_dtype(torch.float64); torch.set_grad_enabled(False)
torch.set_float32_matmul_precision('medium'); torch.set_deterministic_debug_mode('warn')
torch.backends.cudnn.benchmark = True; numpy.random.seed(3); random.seed(3)
"""


def test_torch_is_as_it_was_and_so_are_random_numbers(owner, tmp_path):
    found = [output(tmp_path, TORCH, ("torch",)) for _ in range(2)]
    assert found[0][:2] == found[1][:2] and found[0][0] == 0
    assert found[0][2] == found[1][2] != ""


@pytest.mark.parametrize(
    ("body", "code", "told"),
    [
        ("sys.exit(3)", 3, ""),
        ("sys.exit(-1)", 255, ""),
        ("sys.exit('no room')", 1, "no room"),
        ("raise ValueError('no')", 1, "ValueError: no"),
    ],
)
def test_a_node_that_fails_says_so_and_the_next_begins_in_a_fresh_process(owner, tmp_path, body, code, told):
    _, before, _ = output(tmp_path, WHOSE)
    waits = start(tmp_path, f"import time; time.sleep(0.3); {body}")
    after = [start(tmp_path, WHOSE) for _ in range(2)]
    _, err = waits.communicate(timeout=PATIENCE)
    assert waits.returncode == code and told in err
    found = {process.communicate(timeout=PATIENCE)[0] for process in after}
    assert output(tmp_path, WHOSE)[1] not in {before, ""}
    assert all(each.strip() for each in found)


def test_a_process_that_is_killed_fails_its_node_which_says_so_and_the_next_goes_on(owner, tmp_path):
    process = start(tmp_path, LONG)
    number = int(process.stdout.readline())
    os.kill(number, signal.SIGKILL)
    _, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == 1 and err == (tmp_path / "node.log").read_text() and err.startswith("Error: ")
    code, out, _ = output(tmp_path, WHOSE)
    assert code == 0 and [int(out)] == workers(owner) != [number]


def test_it_ends_with_the_node_that_waits_for_it(owner, tmp_path):
    process = start(tmp_path, LONG)
    number = int(process.stdout.readline())
    process.send_signal(signal.SIGKILL)
    process.communicate()
    wait_for(lambda: gone(number))
    assert output(tmp_path, WHOSE)[1].strip() not in {"", str(number)}


def test_a_node_that_ends_before_its_turn_takes_nothing_with_it(owner, tmp_path):
    first = start(tmp_path, f"{WHOSE}; import sys, time; sys.stdout.flush(); time.sleep(3)")
    number = first.stdout.readline()
    waits = start(tmp_path, WHOSE)
    time.sleep(1)
    waits.kill()
    waits.communicate()
    assert output(tmp_path, WHOSE) == (0, number, "") and first.wait(PATIENCE) == 0
    first.communicate()


def test_a_folder_that_others_chose_is_not_used(tmp_path, monkeypatch):
    """A link in a folder for all could lead anywhere in the user's own."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    place = tmp_path / f"cascade-equivalence-{os.getuid()}-one"
    (tmp_path / "own").mkdir(mode=0o700)
    place.symlink_to(tmp_path / "own")
    assert private_folder("one") is None
    place.unlink()
    with pytest.raises(FileNotFoundError):
        private_folder("one", make=False)
    assert private_folder("one") == private_folder("one", make=False) == place
    place.chmod(0o755)
    assert private_folder("one") is None


@pytest.mark.parametrize("busy", [True, False])
def test_it_ends_with_snakemake(owner, tmp_path, busy):
    process = start(tmp_path, LONG if busy else f"import sys; {WHOSE}; sys.stdout.flush()")
    number = int(process.stdout.readline())
    if not busy:
        assert process.wait(PATIENCE) == 0 and not gone(number)
    owner.kill()
    owner.wait()
    wait_for(lambda: gone(number))
    process.communicate(timeout=PATIENCE)
    assert not list(tmp_path.glob("cascade-equivalence-*"))


def test_nodes_of_other_threads_have_a_process_of_theirs_and_only_one_is_there(owner, tmp_path):
    threads = "import os; print(os.getpid(), os.environ['OMP_NUM_THREADS'])"
    environment = os.environ | {"OMP_NUM_THREADS": "7"}
    found = [output(tmp_path, threads, threads=count, env=environment)[1].split()[0] for count in (1, 2, 2, 1)]
    assert len(set(found)) == 3 and found[1] == found[2]
    wait_for(lambda: workers(owner) == [int(found[-1])])


def test_one_that_cannot_start_leaves_the_script_to_itself(owner, tmp_path):
    process = start(tmp_path, WHOSE, ("there_is_no_such_module",))
    out, _ = process.communicate(timeout=PATIENCE)
    assert (process.returncode, out.strip()) == (0, str(process.pid))


def test_only_nodes_that_ask_for_it_in_a_run(monkeypatch):
    asks, silent = (SimpleNamespace(resources=each) for each in ({"one_process": 1}, {}))
    monkeypatch.setenv(STARTED_BY, "1")
    assert one_process.wanted(asks) and not one_process.wanted(silent)
    monkeypatch.setattr(one_process, "inside", True)
    assert not one_process.wanted(asks)
    monkeypatch.setattr(one_process, "inside", False)
    monkeypatch.delenv(STARTED_BY)
    assert not one_process.wanted(asks)


ANSWERS = """
from pathlib import Path
import torch
torch.set_num_threads(1)
from cascade_equivalence.config.study import AnswerConfig
from cascade_equivalence.models.answering import answer_questions
from cascade_equivalence.models.question import ModelFiles, Question
config = AnswerConfig(device="cpu", dtype="float32", batch_size=2, mode={mode!r})
questions = [
    Question(({{"role": "user", "content": f"A dog ran {{number}} {task}"}},), "", {{"yes": "Yes", "no": "No"}})
    for number in range(5)
]
answer_questions(questions, ModelFiles(Path({folder!r}), {revision!r}, True), config, 6, Path({store!r}), "answers")
"""
SPOIL = """
from cascade_equivalence.models import kept
held = kept.opened._held[1][0]
with torch.no_grad():
    next(held.model.parameters()).zero_()
"""


def test_answers_are_those_of_nodes_by_themselves_and_weights_are_read_once(owner, tmp_path):
    models = {}
    for name, seed in (("one", 0), ("other", 1)):
        torch.manual_seed(seed)
        models[name] = str(tiny_llm.save_llama(tmp_path / name, tiny_llm.byte_level_tokenizer()))
    nodes = [
        *(
            ("one", "first", "generate", ""),
            ("one", "second", "forced_choice", SPOIL),
            ("one", "third", "generate", ""),
        ),
        *(("other", "first", "generate", ""), ("one", "last", "generate", "")),
    ]
    said = []
    for name, task, mode, after in nodes:
        pair = {where: tmp_path / f"{name}-{task}-{where}.jsonl" for where in ("shared", "alone")}
        given = {"folder": models[name], "revision": name * 20, "task": task, "mode": mode}
        code, out, err = output(tmp_path, ANSWERS.format(**given, store=str(pair["shared"])) + after, worker.IMPORTS)
        assert code == 0, err
        said.append(SAID in out)
        # This process keeps nothing, as a node's own does not.
        exec(ANSWERS.format(**given, store=str(pair["alone"])), {})
        assert stored(pair["shared"]) == stored(pair["alone"]) != []
    # The first opens; the second finds it open, and spoils it; the third and those that want another open anew.
    assert said == [False, True, False, False, False]


def stored(file: Path) -> list[object]:
    """What is in a store, line by line, apart from times and the sums over them."""
    return [without_times(json.loads(line)) for line in file.read_text().splitlines()]


def without_times(value: object) -> object:
    if isinstance(value, dict):
        return {name: without_times(each) for name, each in value.items() if name not in ("seconds", "check")}
    return [without_times(each) for each in value] if isinstance(value, list) else value


def test_a_slurm_jobs_own_snakemake_starts_the_process_and_its_steps_do_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A step may use it and starts none; nor does a job whose nodes do not ask, or a Snakemake outside of any job."""
    begun = []
    monkeypatch.setattr(one_process, "_served", lambda folder, *_: begun.append(folder) or SimpleNamespace(close=int))
    monkeypatch.setattr(one_process, "private_folder", lambda name: tmp_path / name)
    asked = SimpleNamespace(overwrite_resources={"answer": {"one_process": 1}, "agree": {"in_turn": 1}})

    def begins(rules: str, *, main: bool = False, **variables: str) -> bool:
        for name in (JOB, one_process.STEP):
            monkeypatch.delenv(name, raising=False)
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setattr(sys, "argv", ["snakemake", "--allowed-rules", *rules.split(), "--cores", "answer"])
        begun.clear()
        one_process.begin_above_steps(SimpleNamespace(is_main_process=main, resource_settings=asked))
        return bool(begun)

    assert begins("agree answer", SLURM_JOB_ID="7") and begun == [tmp_path / "slurm7-in-turn"]
    assert not begins("agree", SLURM_JOB_ID="7")
    assert not begins("answer", SLURM_JOB_ID="7", SLURM_STEP_ID="0")
    assert not begins("answer", SLURM_JOB_ID="7", main=True)
    assert not begins("answer")


def test_a_step_without_the_jobs_process_runs_its_node_by_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(JOB, "7")
    monkeypatch.setenv(one_process.STEP, "0")
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", None)
    assert one_process.run(SimpleNamespace(threads=1, resources={"one_process": 1}, log=[])) is None
    assert list(tmp_path.iterdir()) == []


def test_a_slurm_jobs_own_snakemake_leaves_no_folder(tmp_path: Path) -> None:
    """Whatever became of the process: here none was started."""
    program = (
        "import os, sys; from types import SimpleNamespace as Any; from cascade_equivalence.jobs import one_process\n"
        "one_process._served = lambda *_: Any(close=lambda: print(os.listdir(os.environ['TMPDIR'])))\n"
        "sys.argv = ['snakemake', '--allowed-rules', 'answer']\n"
        "asked = Any(overwrite_resources={'answer': {'one_process': 1}})\n"
        "one_process.begin_above_steps(Any(is_main_process=False, resource_settings=asked))\n"
    )
    environment = {name: value for name, value in os.environ.items() if name != one_process.STEP}
    environment |= {"TMPDIR": str(tmp_path), JOB: "7", "PYTHONPATH": str(LIBRARY)}
    told = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True)
    assert "slurm7-in-turn" in told.stdout and not list(tmp_path.iterdir())


def test_a_step_after_a_node_that_failed_begins_by_itself_once_the_process_is_gone(owner, tmp_path, monkeypatch):
    """Until then it holds memory and GPU; planted: it takes its time."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    one_process._served(private_folder("slurm7-in-turn"), str(owner.pid), 1, ()).close()
    step = os.environ | {JOB: "7", one_process.STEP: "0"}
    slow = "import atexit, os, time; atexit.register(time.sleep, 2); print(os.getpid()); sys.exit(2)"
    code, number, _ = output(tmp_path, slow, env=step)
    assert code == 2 and not gone(int(number))
    process = start(tmp_path, f"import os; print(os.getpid(), os.path.exists('/proc/{number.strip()}/exe'))", env=step)
    assert process.communicate(timeout=PATIENCE)[0].split() == [str(process.pid), "False"]
