"""What a kind of noise is: how its conditions are called and ordered, how it is shown, and how it is mixed."""

import inspect
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from cascade_equivalence.conditions import CLEAN, SILENCE, Scale
from cascade_equivalence.errors import StudyError

if TYPE_CHECKING:
    from cascade_equivalence.config.speech import NoiseConfig
    from cascade_equivalence.speech.clips import Clip

Material = Literal["nothing", "voices", "folder", "musan"]
"""What noise is made of, beside random numbers: nothing; clean clips of the study's other voices; the sound files of a
folder that the user names; those of a part of MUSAN."""
PREFIX = re.compile(r"[a-z]+")


@dataclass(frozen=True)
class Mixing:
    """One voice's clips of a task, and what they are to go through.

    Attributes:
        clean: The clips.
        task: Their task.
        level: How much, on the kind's scale.
        noise: The study's noise: the seed, and of babble the talkers.
        pool: Clean clips of other voices, where the noise is made of these.
        folder: Folder with sound files, where the noise is made of these.
    """

    clean: "Sequence[Clip]"
    task: str
    level: float
    noise: "NoiseConfig"
    pool: "Sequence[Clip]" = ()
    folder: Path | None = None


def _nothing(_: "NoiseConfig") -> Material:
    return "nothing"


def _no_params(_: "NoiseConfig") -> dict[str, Any]:
    return {}


def _no_problems(_: "NoiseConfig") -> Iterator[str]:
    return iter(())


@dataclass(frozen=True)
class NoiseKind:
    """A kind of noise.

    Attributes:
        name: The kind's name, in the config and in tidy tables (column ``noise``).
        prefix: How the names of its conditions begin, in small letters; the level follows.
        scale: What its levels are counted in.
        mix: Makes the noisy clips, in the order of the clean ones, each with what was measured (``snr_db``, or
            ``rt60_ms`` in a room). What a level changes must be the level only: the noise of a clip is drawn by
            :func:`~cascade_equivalence.speech.noise.noise_generator`. Heavy libraries are imported in it.
        title: What a reader sees, within a sentence; empty for the name.
        heading: What stands before a level where there is little room; None for the name.
        axis: Label of the axis in a figure that has other kinds beside; empty for one made of scale and title.
        axis_alone: Label of the axis in a figure without others; empty for ``axis``.
        key: Key of its levels below ``noise``; None for ``kinds.<name>.levels``.
        made_of: What a study makes it of.
        musan: Folder of MUSAN that it can be made of.
        params: What its nodes depend on beside level, seed, code and what it is made of.
        problems: What is wrong with settings that are its own, a line a problem.
        modules: Modules of the package that mix it, as globs below the package.
    """

    name: str
    prefix: str
    scale: Scale
    mix: "Callable[[Mixing], Iterable[Clip]]"
    title: str = ""
    heading: str | None = None
    axis: str = ""
    axis_alone: str = ""
    key: str | None = None
    made_of: "Callable[[NoiseConfig], Material]" = _nothing
    musan: str | None = None
    params: "Callable[[NoiseConfig], Mapping[str, Any]]" = _no_params
    problems: "Callable[[NoiseConfig], Iterator[str]]" = _no_problems
    modules: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Refuse a prefix of which no condition's name can be made."""
        if not PREFIX.fullmatch(self.prefix) or self.prefix in (CLEAN, SILENCE):
            raise StudyError(f"the noise kind {self.name!r} has the prefix {self.prefix!r}: give it small letters only")

    @property
    def shown(self) -> str:
        """What a reader sees."""
        return self.title or self.name

    @property
    def axis_label(self) -> str:
        """Label of the axis beside other kinds."""
        return self.axis or f"{self.scale.short} in {self.shown} ({self.scale.unit})"

    @property
    def axis_label_alone(self) -> str:
        """Label of the axis without others."""
        return self.axis_alone or self.axis_label

    @property
    def levels_key(self) -> str:
        """Key of its levels, below ``noise``."""
        return self.key or f"kinds.{self.name}.levels"

    @property
    def folder_key(self) -> str:
        """Key of the folder with its sound files, below ``noise``."""
        return "folder" if self.key else f"kinds.{self.name}.folder"

    @property
    def example(self) -> tuple[str, str]:
        """A condition's name, and what it means."""
        level = f"{min(max(600 if self.scale.whole else 10, self.scale.least), self.scale.most):g}"
        return f"{self.prefix}{level}", f"{level} {self.scale.unit} of {self.shown}"

    @property
    def source(self) -> Path:
        """The file that says how it is mixed."""
        return Path(inspect.getfile(self.mix))
