import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from zlib import crc32

import psutil
import pytest
import tiny_llm

from cascade_equivalence.jobs import forks, warm
from cascade_equivalence.jobs.processes import STARTED_BY

LIBRARY = Path(warm.__file__).parents[2]
PATIENCE = 30.0
CLIENT = """
import os, sys
from cascade_equivalence.jobs import forks
if forks.wanted(1) and (status := forks.run({imports!r})) is not None:
    os._exit(status)
"""


@pytest.fixture
def tmp_path() -> Iterator[Path]:
    """A folder with a short name: a socket's path has about 100 characters at most, and pytest's own may have more."""
    with tempfile.TemporaryDirectory(prefix="warm", ignore_cleanup_errors=True) as folder:
        yield Path(folder)


@pytest.fixture
def owner(tmp_path, monkeypatch):
    """A process that stands for the Snakemake of a run."""
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    monkeypatch.setenv(STARTED_BY, str(process.pid))
    monkeypatch.setenv(forks.WARM, "1")
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setenv("PYTHONPATH", str(LIBRARY))
    yield process
    process.kill()
    process.wait()


def start(folder: Path, body: str, imports: tuple[str, ...] = (), **options) -> subprocess.Popen:
    """Start a script that runs its body in a fork of the server, if it can."""
    script = folder / f"script{len(list(folder.glob('script*')))}.py"
    script.write_text(CLIENT.format(imports=imports) + body)
    return subprocess.Popen(
        [sys.executable, str(script), "word"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options
    )


def output(folder: Path, body: str, imports: tuple[str, ...] = (), **options) -> tuple[int, str, str]:
    process = start(folder, body, imports, **options)
    out, err = process.communicate(timeout=PATIENCE)
    return process.returncode, out, err


def wait_for(condition) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def gone(process: psutil.Process) -> bool:
    """Whether a process has ended, even if nobody has taken note of it."""
    try:
        return process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def servers(owner: subprocess.Popen) -> list[psutil.Process]:
    """Servers of a run; their forks have their command line."""
    found = {}
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            words = process.cmdline()
            if "cascade_equivalence.jobs.warm" in words and str(owner.pid) in words:
                found[process.pid] = process
    return [process for process in found.values() if process.ppid() not in found]


WHOSE = "import os; print(os.getppid())"


def test_a_script_runs_in_a_fork_of_one_server(owner, tmp_path):
    parents = {output(tmp_path, WHOSE)[1].strip() for _ in range(3)}
    assert len(parents) == 1 and parents != {str(os.getpid())}
    assert [str(process.pid) for process in servers(owner)] == list(parents)


def test_nodes_that_start_together_share_the_server(owner, tmp_path):
    processes = [start(tmp_path, WHOSE) for _ in range(4)]
    assert len({process.communicate(timeout=PATIENCE)[0] for process in processes}) == 1


def test_a_fork_has_what_the_script_would_have(owner, tmp_path):
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    environment = os.environ | {"FLAVOUR": "salt"}
    body = (
        "import os, sys; print(os.getcwd(), sys.argv[1], os.environ['FLAVOUR'], __name__); print('e', file=sys.stderr)"
    )
    code, out, err = output(tmp_path, body, cwd=folder, env=environment)
    assert (code, out.split(), err) == (0, [str(folder), "word", "salt", "__main__"], "e\n")


@pytest.mark.parametrize(
    ("body", "code"),
    [("pass", 0), ("sys.exit(3)", 3), ("raise ValueError('no')", 1), ("os.kill(os.getpid(), 9)", 128 + 9)],
)
def test_the_exit_status_is_the_scripts(owner, tmp_path, body, code):
    assert output(tmp_path, body)[0] == code


def test_an_error_is_told_with_its_traceback(owner, tmp_path):
    assert "ValueError: no" in output(tmp_path, "raise ValueError('no')")[2]


def test_a_script_that_says_why_it_ends_is_heard(owner, tmp_path):
    assert output(tmp_path, "sys.exit('no room')")[::2] == (1, "no room\n")


def test_a_fork_ends_as_a_process_does_but_leaves_its_objects_where_they_are(owner, tmp_path):
    body = """
import atexit, threading, time
class Object:
    def __del__(self): print('taken apart')
kept = Object()
atexit.register(print, 'at exit')
threading.Thread(target=lambda: (time.sleep(0.3), print('thread'))).start()
print('last line')
"""
    assert output(tmp_path, body)[:2] == (0, "last line\nthread\nat exit\n")


def test_modules_are_there_already_and_what_a_script_does_to_them_stays_its_own(owner, tmp_path):
    body = (
        "import sys\nprint('colorsys' in sys.modules)\n"
        "import colorsys\nprint(hasattr(colorsys, 'mark'))\ncolorsys.mark = 1"
    )
    for _ in range(2):
        assert output(tmp_path, body, ("colorsys",))[1].split() == ["True", "False"]


def test_a_server_that_dies_fails_the_node_and_takes_the_fork_with_it(owner, tmp_path):
    process = start(tmp_path, "import os, time; print(os.getpid(), flush=True); time.sleep(600)")
    fork = psutil.Process(int(process.stdout.readline()))
    [server] = servers(owner)
    server.kill()
    assert process.wait(PATIENCE) == 1
    wait_for(lambda: gone(fork))


def test_the_fork_ends_with_the_script_that_waits_for_it(owner, tmp_path):
    process = start(tmp_path, "import os, time; print(os.getpid(), flush=True); time.sleep(600)")
    fork = psutil.Process(int(process.stdout.readline()))
    process.send_signal(signal.SIGKILL)
    process.wait()
    wait_for(lambda: gone(fork))
    assert output(tmp_path, WHOSE)[1]  # and the server goes on


def test_server_and_forks_end_with_snakemake(owner, tmp_path):
    process = start(tmp_path, "import os, time; print(os.getpid(), flush=True); time.sleep(600)")
    fork = psutil.Process(int(process.stdout.readline()))
    [server] = servers(owner)
    owner.kill()
    owner.wait()
    wait_for(lambda: gone(fork) and gone(server))
    process.communicate(timeout=PATIENCE)
    assert not list(tmp_path.glob("cascade-equivalence-*"))


def test_a_server_with_threads_does_not_fork(owner, tmp_path):
    (tmp_path / "threaded.py").write_text(
        "import threading, time\nthreading.Thread(target=time.sleep, args=(600,), daemon=True).start()\n"
    )
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(tmp_path), str(LIBRARY)])}
    code, out, _ = output(tmp_path, WHOSE, ("threaded",), env=environment)
    assert (code, out.strip()) == (0, str(os.getpid()))


def test_a_server_that_cannot_start_leaves_the_script_to_itself(owner, tmp_path):
    code, out, _ = output(tmp_path, WHOSE, ("there_is_no_such_module",))
    assert (code, out.strip()) == (0, str(os.getpid()))


def test_a_folder_that_others_could_write_to_is_not_used(owner, tmp_path):
    folder = tmp_path / f"cascade-equivalence-{os.getuid()}-{owner.pid}-{crc32(sys.prefix.encode()):08x}"
    folder.mkdir(mode=0o777)
    folder.chmod(0o777)
    assert output(tmp_path, WHOSE)[1].strip() == str(os.getpid())


def test_only_nodes_of_one_thread_in_a_run_that_asks_for_it(monkeypatch):
    monkeypatch.setenv(STARTED_BY, "1")
    monkeypatch.setenv(forks.WARM, "1")
    assert forks.wanted(1) and not forks.wanted(2)
    monkeypatch.delenv(forks.WARM)
    assert not forks.wanted(1)


def test_a_script_that_goes_on_in_a_fork_has_imported_next_to_nothing():
    body = "import sys\nimport cascade_equivalence.jobs.script\nprint(*sys.modules)"
    environment = os.environ | {"PYTHONPATH": str(LIBRARY)}
    found = subprocess.run([sys.executable, "-c", body], env=environment, capture_output=True, text=True, check=True)
    assert not {"pydantic", "yaml", "numpy", "cascade_equivalence.stages.study"} & set(found.stdout.split())


def test_the_libraries_start_no_thread():
    body = (
        "import importlib, os\nfrom cascade_equivalence.jobs.warm import BESIDE, IMPORTS\n"
        "for name in IMPORTS + BESIDE:\n    importlib.import_module(name)\n"
        "print(len(os.listdir('/proc/self/task')))"
    )
    environment = os.environ | {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "PYTHONPATH": str(LIBRARY)}
    found = subprocess.run([sys.executable, "-c", body], env=environment, capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "1"


OPEN = """
import os
from pathlib import Path
import torch
from cascade_equivalence.models import kept
from cascade_equivalence.models.question import ModelFiles
torch.set_num_threads(1)
held = bool(kept._kept)
text, _ = kept.opened(ModelFiles(Path({folder!r}), "a" * 64, True), "cpu", torch.float32)
rows = [text.tokenize(text.render([{{"role": "user", "content": words}}])) for words in ("A dog ran.", "What?")]
print(held, os.getppid(), [answer.text for answer in text.generate(rows, 8)])
with torch.no_grad():
    for weight in text.model.parameters():
        weight.zero_()
"""


def test_a_model_that_a_node_has_opened_is_there_for_the_next_ones_as_it_was(owner, tmp_path):
    folder = tiny_llm.save_llama(tmp_path / "llm", tiny_llm.byte_level_tokenizer())
    found = [output(tmp_path, OPEN.format(folder=str(folder)), (warm.KEPT,)) for _ in range(3)]
    told = [out.split(maxsplit=2) for _, out, _ in found]
    assert [held for held, _, _ in told] == ["False", "True", "True"], found
    # One server has forked for all, and they have answered alike.
    assert len({parent for _, parent, _ in told}) == len({answers for _, _, answers in told}) == 1


def test_a_note_that_says_nothing_harms_no_node(owner, tmp_path):
    body = "from cascade_equivalence.jobs import warm; warm._notes.write_text('[\\n[1, 2]\\n'); print('well')"
    assert [output(tmp_path, body, (warm.KEPT,))[:2] for _ in range(2)] == [(0, "well\n")] * 2
