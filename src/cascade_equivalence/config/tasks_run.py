"""Which tasks a run takes: those of the study's file, or fewer that are named on the command line.

A study names tasks in more places than `tasks`: in noise, the surplus, what is asked again, what is opened. What such a
key says of a task that does not run is left out here, and said; a part that is left with no task is not run.
"""

import re
from collections.abc import Callable, Collection, Iterable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel

from cascade_equivalence.config.mechanism import MechanismConfig
from cascade_equivalence.config.names import VARIANTS
from cascade_equivalence.config.read import read_config
from cascade_equivalence.config.repeats import changes_nothing
from cascade_equivalence.config.speech import NoiseConfig
from cascade_equivalence.config.statistics import StatisticsConfig
from cascade_equivalence.config.study import StudyConfig

OfTasks = TypeVar("OfTasks", bound=BaseModel)
Tell = Callable[[str], object]
"""Takes what a user is to know, in one line."""


def with_tasks_given(config: Mapping[str, Any], given: Mapping[str, Any], files: Iterable[Path]) -> Mapping[str, Any]:
    """A config whose tasks were named on the command line.

    Args:
        config: The config as Snakemake merged it: a list of tasks has taken the place of the files'.
        given: The keys of the command line.
        files: The config files, which may describe tasks in place, behind their names.

    Returns:
        The config with `tasks` as a list, also of names in one text (`sst2`, `sst2,meld`), and with the files' entries
        of tasks under `definitions`. The config itself where the command line names no tasks, or in another form.
    """
    tasks = given.get("tasks")
    # Where this workflow is a module of another, the command line speaks of that one's keys.
    if tasks != config.get("tasks"):
        return config
    if isinstance(tasks, str):
        tasks = [name for name in re.split(r"[,\s]+", tasks) if name]
    defined = config.get("definitions") or {}
    prompts = defined.get("tasks") or {} if isinstance(defined, Mapping) else None
    if not isinstance(tasks, list) or not isinstance(prompts, Mapping):
        return config
    described = {name: entry for file in files for name, entry in _described(file).items() if entry is not None}
    if described:
        config = {**config, "definitions": {**defined, "tasks": {**prompts, **described}}}
    return {**config, "tasks": tasks}


def _described(file: Path) -> Mapping[str, Any]:
    """Tasks of a study's file with what stands behind their names; none where it lists names only."""
    content = read_config(file)
    tasks = content.get("tasks") if isinstance(content, Mapping) else None
    return tasks if isinstance(tasks, Mapping) else {}


def left_to_run(study: StudyConfig, tell: Tell) -> StudyConfig:
    """A study without what its keys say of tasks that it does not run.

    Args:
        study: The study; the tasks that its keys name are known ones.
        tell: Gets one line if something that was asked for is left out.

    Returns:
        The study, with no key that names a task beside `tasks`, and without the parts that are left with no task.
    """
    kept = _Kept(study.tasks)
    items = kept.in_section("items", study.items, "per_task", "max_words")
    noise = kept.in_section("noise", study.noise, "tasks")
    if any(study.noise.levels().values()) and kept.is_idle("noise", study.noise.tasks, noise.tasks):
        noise = NoiseConfig()
    surplus = kept.in_section("surplus", study.surplus, "tasks")
    kept.is_idle("surplus", study.surplus.tasks, surplus.tasks)
    conflict = kept.in_section("conflict", study.conflict, "tasks")
    kept.is_idle("conflict", study.conflict.tasks, conflict.tasks)
    statistics = _asked_again(kept, study)
    if (apart := study.statistics.family_apart) is not None:
        family = kept.in_section("statistics.family_apart", apart, "tasks")
        gone = kept.is_idle("statistics.family_apart", apart.tasks, family.tasks)
        if family is not apart:
            statistics = statistics.model_copy(update={"family_apart": None if gone else family})
    mechanism, paper = _opened(kept, study.mechanism), study.paper
    if mechanism is None and study.mechanism is not None and paper is not None:
        # No model is opened that could stand beside the paper's.
        paper = paper.model_copy(update={"models": {}})
    if line := kept.line():
        tell(line)
    parts: dict[str, Any] = {"items": items, "noise": noise, "surplus": surplus, "statistics": statistics}
    parts |= {"conflict": conflict, "mechanism": mechanism, "paper": paper}
    return study.model_copy(update={key: part for key, part in parts.items() if part is not getattr(study, key)})


def _asked_again(kept: "_Kept", study: StudyConfig) -> StatisticsConfig:
    """The statistics, without what would be asked again about no task."""
    before = study.statistics
    after = kept.in_section("statistics", before, "repeat_tasks")
    # An empty list takes all tasks.
    if kept.is_idle("statistics.repeats", before.repeat_tasks if before.repeats else [], after.repeat_tasks):
        return after.model_copy(update={key: [] for key in after.asked_again()})
    if before.repeat_tasks and after is before:
        # Whoever names tasks, all of which run, is told what a variant cannot do with them.
        return after
    narrowed = study.model_copy(update={"statistics": after})
    none = [name for name in after.repeats if name in VARIANTS and not VARIANTS[name].key]
    none = [name for name in none if changes_nothing(narrowed, name)]
    for name in none:
        kept.is_idle(f"statistics.repeats: {name}", [name], [])
    return after.model_copy(update={"repeats": [each for each in after.repeats if each not in none]}) if none else after


def _opened(kept: "_Kept", mechanism: MechanismConfig | None) -> MechanismConfig | None:
    """What is opened, on tasks that run."""
    if mechanism is None:
        return None
    states = kept.in_section("mechanism.states", mechanism.states, "tasks")
    if kept.is_idle("mechanism", mechanism.states.tasks, states.tasks):
        return None
    update: dict[str, Any] = {"states": states}
    for name, section in mechanism.of_tasks().items():
        left = kept.in_section(f"mechanism.{name}", section, "tasks")
        update[name] = None if kept.is_idle(f"mechanism.{name}", section.tasks, left.tasks) else left
    if all(section is getattr(mechanism, name) for name, section in update.items()):
        return mechanism
    return mechanism.model_copy(update=update)


class _Kept:
    """What of a study's keys is kept for some tasks, and what is left out.

    Args:
        tasks: The tasks that run.
    """

    def __init__(self, tasks: Iterable[str]) -> None:
        self._tasks = frozenset(tasks)
        self._out: dict[str, list[str]] = {}
        self._idle: list[str] = []

    def in_section(self, key: str, section: OfTasks, *fields: str) -> OfTasks:
        """A section whose fields name, or have entries for, tasks that run only."""
        changed: dict[str, Any] = {}
        for field in fields:
            value = getattr(section, field)
            names = list(value) if isinstance(value, list | dict) else []
            out = [name for name in names if name not in self._tasks]
            if not out:
                continue
            changed[field] = (
                {name: value[name] for name in names if name in self._tasks}
                if isinstance(value, dict)
                else [name for name in names if name in self._tasks]
            )
            # What stands there by default nobody has asked for.
            if field in section.model_fields_set:
                self._out[f"{key}.{field}"] = out
        return section.model_copy(update=changed) if changed else section

    def is_idle(self, part: str, before: Collection[str], after: Collection[str]) -> bool:
        """Whether a part had tasks and has none left; noted if so."""
        idle = bool(before) and not after
        if idle:
            self._idle.append(part)
        return idle

    def line(self) -> str:
        """What is left out, in one line; empty if nothing is."""
        said = []
        if self._out:
            names = dict.fromkeys(name for names in self._out.values() for name in names)
            said.append(f"left out, since `tasks` does not name them: {', '.join(names)} ({', '.join(self._out)})")
        if self._idle:
            said.append(f"not run, since no task is left for it: {', '.join(self._idle)}")
        return "; ".join(said)
