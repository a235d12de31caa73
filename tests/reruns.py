"""A finished study of a few nodes, changed in one place, run again for real: what ran, and what was written."""

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from checkout import AGGREGATES, REAL_RUN, Checkout, Config, Job, opened_config

from cascade_equivalence.provenance.record import HASHES

RESULTS = Path("results/micro")
NODES = (("ag_news", "clean"), ("sst2", "clean"), ("sst2", "snr10"))
END: set[Job] = {("all",), *((rule,) for rule in AGGREGATES)}


def micro_config(models: Path) -> Config:
    """Two systems, a speech LLM and a cascade; two tasks, two voices, one noise level; one layer and one concept.

    Names the other systems of ``tiny_config`` in its definitions, for the tests that add one.
    """
    study = opened_config(models) | {"results": str(RESULTS), "models_folder": "results/models"}
    study["items"]["per_task"] = 4
    study["noise"] = {"snr_db": [10], "voices": ["us"], "tasks": ["sst2"], "babble_voices": ["gb"], "talkers": 1}
    study["systems"] = ["heard", "first"]
    study["pairs"] = [{"system": "heard", "reference": "first", "label": "matched"}]
    study["contrasts"] = []
    del study["conflict"]
    study["statistics"] = {"draws": 50}
    mechanism = study["mechanism"]
    mechanism |= {"models": ["speech-a"], "layers": {"speech-a": [1]}, "untrained": False}
    mechanism |= dict.fromkeys(("patching", "similarity", "curved", "attributions", "steering"))
    # One voice: all voices take turns otherwise, and a new one changes what the models are watched on.
    mechanism["states"] |= {"tasks": ["sst2"], "voices": ["us"]}
    mechanism["erasure"] |= {"per_task": 2, "seeds": 1, "concepts": ["proxy"]}
    return study


@dataclass(frozen=True)
class Made:
    """What a run did.

    Attributes:
        code: Exit status.
        output: Standard output and error.
        jobs: Each job that was started, as in ``Plan``.
        written: Outputs that are other files than before, of the results, the models and the sets.
    """

    code: int
    output: str
    jobs: set[Job]
    written: set[str]


class Study:
    """The finished study, which can be brought back to what it was.

    Args:
        checkout: The copy of the project that it lies in.
        models: Folder of its models, inside the copy.
        kept: Folder to keep the finished state in.
    """

    def __init__(self, checkout: Checkout, models: Path, kept: Path) -> None:
        self.checkout, self.models, self._kept = checkout, models, kept
        self.root = checkout.root
        first = self.run(self.config())
        assert first.code == 0, first.output
        self.first = first.jobs
        _copy(self.root, kept)

    def config(self) -> Config:
        """The config of the finished study, to be changed freely."""
        study = micro_config(self.models)
        for model in study["definitions"]["models"].values():
            # As seen from the copy, so that it can be moved.
            model["source"]["path"] = Path(model["source"]["path"]).relative_to(self.root).as_posix()
        return study

    def restore(self) -> None:
        """Bring everything back, with its times of change: Snakemake compares them."""
        shutil.rmtree(self.root)
        _copy(self._kept, self.root)

    def run(self, config: Config, *arguments: str) -> Made:
        """Make what a study asks for."""
        before = self._states()
        done = self.checkout.recorded(config, *arguments, *REAL_RUN)
        after = self._states()
        written = {path for path, state in after.items() if before.get(path) != state}
        return Made(done.code, done.output, done.jobs, written)

    def ran(self, config: Config, *arguments: str) -> set[Job]:
        """Make what a study asks for; what ran. Asked a second time nothing may run."""
        made = self.run(config, *arguments)
        assert made.code == 0, made.output
        again = self.checkout.plan(config, *arguments)
        assert again.code == 0 and again.jobs == set(), again.output
        # A job that only says it ran would leave no log of its own behind.
        logs = {path for path in made.written if "/logs/" in path}
        assert len(logs) == len({job for job in made.jobs if not job[0].startswith("all")}), (logs, made.jobs)
        return made.jobs

    def stored(self) -> dict[str, bytes]:
        """The stores of the study: each line is something that a model or a voice computed."""
        return self.checkout.files(f"{RESULTS}/store/**/*.*")

    def _states(self) -> dict[str, Any]:
        found = {}
        for path in self.root.glob("results/**/*"):
            # What is remembered of large files is no result: a copy of the study is read once more.
            if path.is_file() and path.parent.name != HASHES:
                status = path.stat()
                found[path.relative_to(self.root).as_posix()] = (status.st_mtime_ns, status.st_ino, status.st_size)
        return found


def _copy(source: Path, target: Path) -> None:
    shutil.copytree(source, target, symlinks=True)
