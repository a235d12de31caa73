"""What a study takes, all in one, as a table to read or as JSON."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from cascade_equivalence import stages
from cascade_equivalence.costs.figures import Figures
from cascade_equivalence.estimate.disk import disk, service_calls
from cascade_equivalence.estimate.texts import TaskSize, task_size
from cascade_equivalence.estimate.work import Work, Workload

if TYPE_CHECKING:
    from cascade_equivalence.models.api.estimate import ApiEstimate
    from cascade_equivalence.stages.study import Study

HOUR = 3600
GIGA = 1e9
MEGA = 1e6
LENGTHS = {
    "clips": "of clips that are there",
    "items": "from the words of the items",
    "figures": "from the usual length of such items; the sets are not fetched yet",
}


@dataclass(frozen=True)
class StudyEstimate:
    """What a whole study takes from its beginning, whatever of it is there already.

    Attributes:
        figures: What was multiplied.
        spoken: The tasks' items, by task.
        work: GPU work, an entry a stage and who does it.
        unknown: Models of unknown size, whose nodes are not in it.
        disk: Bytes by folder.
        speech: Clips that a speech service is asked for, by voice.
        clips: Clips of clean speech, and in noise.
        answers: Answers of all systems, and beside them those of systems that are asked again.
        api: What its API systems are going to ask; None without any.
    """

    figures: Figures
    spoken: dict[str, TaskSize]
    work: tuple[Work, ...]
    unknown: tuple[str, ...]
    disk: dict[str, float]
    speech: dict[str, int]
    clips: tuple[int, int]
    answers: tuple[int, int]
    api: "ApiEstimate | None"

    @property
    def stages(self) -> list[Work]:
        """The work summed by stage."""
        names = list(dict.fromkeys(each.stage for each in self.work))
        return [_sum(name, [each for each in self.work if each.stage == name]) for name in names]

    @property
    def loading_share(self) -> float | None:
        """Share of all GPU time in which models are loaded; None without GPU work."""
        total = _sum("all", self.work)
        return total.loading / (total.loading + total.working) if self.work else None

    def to_json(self) -> dict[str, Any]:
        """All numbers: seconds, bytes, counts."""
        return {
            "clips": dict(zip(("clean", "noise"), self.clips, strict=True)),
            "answers": dict(zip(("usual", "again"), self.answers, strict=True)),
            "tasks": {task: asdict(spoken) for task, spoken in self.spoken.items()},
            "gpu": {
                "stages": [asdict(stage) for stage in self.stages],
                "work": [asdict(each) for each in self.work],
                "hours": sum(each.loading + each.working for each in self.work) / HOUR,
                "loading_share": self.loading_share,
                "models_of_unknown_size": list(self.unknown),
            },
            "disk_bytes": self.disk,
            "speech_service_calls": self.speech,
            "api": self._api(),
            "figures": self.figures.model_dump(mode="json"),
        }

    def _api(self) -> dict[str, Any] | None:
        if self.api is None:
            return None
        return {
            "calls": self.api.calls,
            "money": self.api.money,
            "used": list(self.api.used),
            "problems": self.api.problems(),
            "parts": [asdict(part) for part in self.api.parts],
        }

    def text(self) -> str:
        """The estimate in plain text."""
        sections = [self._clips_text(), self._gpu_text(), self._disk_text()]
        if self.speech:
            each = ", ".join(f"{voice} {count:,}" for voice, count in self.speech.items())
            sections.append(f"Speech service: {sum(self.speech.values()):,} clips to ask for ({each}).")
        sections.append(
            f"Services, what is not answered yet:\n{self.api.text()}" if self.api else "No service is asked."
        )
        sections.append("\n".join(["Where the numbers are from:", *self._origins()]))
        return "\n\n".join(sections)

    def _clips_text(self) -> str:
        rows = [
            (task, f"{spoken.items:,}", f"{spoken.seconds:.1f}", LENGTHS[spoken.basis])
            for task, spoken in self.spoken.items()
        ]
        table = _aligned(("task", "items", "seconds", "lengths"), rows, left=(0, 3))
        clean, noise = self.clips
        usual, again = self.answers
        asked = f"{usual:,} answers" + (f", and {again:,} of systems that are asked again." if again else ".")
        return f"{table}\n{clean:,} clips of clean speech, {noise:,} in noise.\n{asked}"

    def _gpu_text(self) -> str:
        if not self.work:
            return "No node needs a GPU: every device is set to cpu, or services run the models."
        rows = [_hours(stage) for stage in (*self.stages, _sum("all", self.work))]
        heads = ("stage", "nodes", "jobs", "rows", "loading h", "working h", "GPU h", "loading")
        share = (
            f"{self.loading_share:.0%} of that is loading of models, where nodes share jobs as profiles/slurm groups "
            "them; nodes that need no GPU are not counted."
        )
        unknown = [
            f"Not counted: {name}, whose size nobody says (give models.{name}.billions)." for name in self.unknown
        ]
        return "\n".join([_aligned(heads, rows), share, *unknown])

    def _disk_text(self) -> str:
        rows = [(name, _size(size)) for name, size in (*self.disk.items(), ("all", sum(self.disk.values())))]
        return _aligned(("folder", "size"), rows)

    def _origins(self) -> list[str]:
        return [f"  {name}: {origin}" for name, origin in self.figures.origins().items()]


def estimate_study(study: "Study", figures: Figures) -> StudyEstimate:
    """Say what a study takes.

    Args:
        study: The study.
        figures: What is multiplied.

    Raises:
        StudyError: The user's own files of a set cannot be read.
    """
    spoken: dict[str, TaskSize] = {task: task_size(study, task, figures) for task in study.config.tasks}
    workload = Workload(study, spoken, figures)
    work, unknown = workload.entries()
    clips = [0, 0]
    for node in study.nodes:
        clips[node.condition != study.conditions[0]] += workload.rows(node.task, node.condition)
    return StudyEstimate(
        figures,
        spoken,
        tuple(work),
        tuple(unknown),
        disk(study, spoken, figures),
        service_calls(study, spoken),
        (clips[0], clips[1]),
        (workload.answers(), workload.answers_again()),
        stages.api.estimate(study) if stages.api.is_asked(study) else None,
    )


def _sum(stage: str, work: Sequence[Work]) -> Work:
    return Work(
        stage,
        "",
        sum(each.nodes for each in work),
        sum(each.jobs for each in work),
        sum(each.rows for each in work),
        sum(each.loading for each in work),
        sum(each.working for each in work),
    )


def _hours(work: Work) -> tuple[str, ...]:
    seconds = (work.loading, work.working, work.loading + work.working)
    hours = (f"{each / HOUR:.1f}" for each in seconds)
    share = f"{work.loading / sum(seconds[:2]):.0%}" if sum(seconds[:2]) else ""
    return (work.stage, f"{work.nodes:,}", f"{work.jobs:,}", f"{work.rows:,}", *hours, share)


def _size(size: float) -> str:
    return f"{size / GIGA:,.1f} GB" if size >= GIGA else f"{size / MEGA:,.1f} MB"


def _aligned(heads: Sequence[str], rows: Sequence[Sequence[str]], left: Sequence[int] = (0,)) -> str:
    """Columns side by side, numbers to the right."""
    lines = [heads, *rows]
    widths = [max(len(line[column]) for line in lines) for column in range(len(heads))]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if column in left else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    )
