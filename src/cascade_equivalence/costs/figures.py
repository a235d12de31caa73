"""The assumptions of the estimate (resources/estimate.yaml), each group with its source."""

from functools import cache
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, NonNegativeFloat, PositiveFloat, ValidationError

from cascade_equivalence.config.base import Closed
from cascade_equivalence.config.explain import explain
from cascade_equivalence.config.read import read_config
from cascade_equivalence.errors import StudyError
from cascade_equivalence.resources import RESOURCES

FIGURES = RESOURCES / "estimate.yaml"
"""The figures that ship with the project."""
Share = Annotated[float, Field(gt=0, le=1)]


class NumberGroup(Closed):
    """Numbers with one origin."""

    basis: Literal["measured", "published", "assumed"] = Field(description="Where the numbers are from.")
    note: str = Field(description="On what, by whom, or why.")


class Gpu(NumberGroup):
    """What a GPU can do."""

    teraflops: PositiveFloat = Field(description="Floating-point operations a second, in 10^12.")
    float32_teraflops: PositiveFloat = Field(description="The same in float32, without its shorter forms.")
    terabytes_per_second: PositiveFloat = Field(description="Speed of its memory.")


class Use(NumberGroup):
    """How much of it is reached."""

    reading: Share = Field(description="Share of the arithmetic while prompts and audio are read.")
    writing: Share = Field(description="Share of the memory's speed while words are written.")
    step_milliseconds: NonNegativeFloat = Field(description="Least time of a forward step.")
    row_milliseconds: NonNegativeFloat = Field(description="Work on a clip beside the network.")


class Loading(NumberGroup):
    """What a node takes before it begins."""

    start_seconds: NonNegativeFloat = Field(description="Starting Python with its libraries.")
    gigabytes_per_second: PositiveFloat = Field(description="Weights from the disk to the GPU.")
    again_seconds: NonNegativeFloat = Field(description="The start, where the job has read the libraries before.")
    again_gigabytes_per_second: PositiveFloat = Field(description="Weights, where the job has read them before.")
    open_seconds: NonNegativeFloat = Field(description="A node's start, where its job has the model open.")


class Pace(NumberGroup):
    """How fast is spoken."""

    words_per_second: PositiveFloat = Field(description="Words a second of a voice.")


class Network(NumberGroup):
    """Shapes that configs of models would say."""

    letters_per_token: PositiveFloat = Field(description="Letters of a token of English.")
    prompt_tokens: NonNegativeFloat = Field(description="Tokens of a prompt that are its own, beside the item.")
    window_seconds: PositiveFloat = Field(description="What an encoder hears at once; shorter clips are padded.")
    frames_per_second: PositiveFloat = Field(description="Frames of an encoder.")
    encoder_share: Share = Field(description="Share of an ASR's parameters that its encoder has.")
    crossing_share: Share = Field(description="Share of its decoder that every frame goes through.")
    tower_billions: PositiveFloat = Field(description="Parameters of a speech LLM's audio tower.")
    vectors_per_second: PositiveFloat = Field(description="Vectors of a second of sound in a speech LLM's prompt.")
    vocabulary: PositiveFloat = Field(description="Words of a text LLM.")


class Bytes(NumberGroup):
    """Sizes on disk."""

    weight: PositiveFloat = Field(description="A parameter.")
    clean_second: PositiveFloat = Field(description="A second of clean speech.")
    noisy_second: PositiveFloat = Field(description="A second of speech in noise.")
    transcript: PositiveFloat = Field(description="A transcript.")
    answer: PositiveFloat = Field(description="An answer.")
    erased_answer: PositiveFloat = Field(description="An answer under erasure.")
    kept_transcript: PositiveFloat = Field(description="A transcript in the store.")
    kept_answer: PositiveFloat = Field(description="An answer in the store.")
    kept_erased: PositiveFloat = Field(description="An answer under erasure in the store.")
    musan: PositiveFloat = Field(description="MUSAN: its archive, and its speech unpacked.")
    moment: PositiveFloat = Field(description="A pair of directions in a layer's moments.")


class Figures(Closed):
    """All numbers that estimates multiply."""

    gpu: Gpu
    use: Use
    loading: Loading
    pace: Pace
    network: Network
    bytes: Bytes

    def origins(self) -> dict[str, str]:
        """By group, where its numbers are from."""
        groups = {name: getattr(self, name) for name in type(self).model_fields}
        return {name: f"{group.basis}: {group.note.strip()}" for name, group in groups.items()}


@cache
def read_figures(path: Path = FIGURES) -> Figures:
    """Read the figures.

    Args:
        path: YAML file as ``resources/estimate.yaml``.

    Raises:
        StudyError: The file is missing or does not hold what it should; one line a problem.
    """
    try:
        return Figures.model_validate(read_config(path))
    except ValidationError as error:
        lines = "\n".join(f"  {line}" for line in explain(error, Figures))
        raise StudyError(f"{path} does not hold the figures for estimates:\n{lines}") from error
