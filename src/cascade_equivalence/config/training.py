"""How a connector between a Whisper encoder and a frozen text LLM is made."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, NonNegativeInt, PositiveFloat, PositiveInt, ValidationInfo, field_validator

from cascade_equivalence.config.base import Closed
from cascade_equivalence.config.names import Name, TaskName
from cascade_equivalence.config.packages import NAME_HELP, VERSION_HELP, is_exact_version, is_package_name
from cascade_equivalence.config.sources import Sha256, TranscriptionPrompt
from cascade_equivalence.config.speech import VoiceSpec

Share = Annotated[float, Field(gt=0, le=1)]


def _known(encoding: str) -> str:
    try:
        b"x".decode(encoding)
    except (LookupError, ValueError) as error:
        raise ValueError("this is no encoding of texts; give one that Python knows, such as utf-8") from error
    return encoding


Encoding = Annotated[str, AfterValidator(_known)]


class TextSource(Closed):
    """Texts inside a package of the Python or the npm index; it is read as an archive, nothing in it is installed."""

    index: Literal["pypi", "npm"] = Field(description="Index that has the package.")
    name: str = Field(description="Package.")
    version: str = Field(description="Exact version.")
    sha256: Sha256
    members: list[str] = Field(
        min_length=1,
        description="Patterns of the files to read; `outer!inner` names a file of an archive in the archive.",
    )
    format: Literal["lines", "tsv", "json"] = Field(
        description="One document a line, the last column of a table, or a JSON list of texts."
    )
    encoding: Encoding = Field(default="utf-8", description="Character encoding of the files.")
    licence: str = Field(description="Licence of the texts, for the model card.")

    @field_validator("name")
    @classmethod
    def _name_of_a_package(cls, name: str, info: ValidationInfo) -> str:
        if not is_package_name(name, info.data.get("index", "pypi")):
            raise ValueError(f"this is no package name; give {NAME_HELP}")
        return name

    @field_validator("version")
    @classmethod
    def _one_version(cls, version: str, info: ValidationInfo) -> str:
        if not is_exact_version(version, info.data.get("index", "pypi")):
            raise ValueError(f"this is no version; give {VERSION_HELP}")
        return version


class TextsConfig(Closed):
    """What is read aloud for training."""

    sources: list[TextSource] = Field(min_length=1, description="Where the texts come from.")
    max_words: PositiveInt = Field(default=26, description="Longer sentences are cut at their commas.")
    min_words: PositiveInt = Field(default=3, description="Shorter pieces are left out.")

    @field_validator("min_words")
    @classmethod
    def _not_above_the_most(cls, words: int, info: ValidationInfo) -> int:
        if words > info.data.get("max_words", words):
            raise ValueError(f"it must be at most max_words ({info.data['max_words']})")
        return words

    joined: float = Field(
        default=0.12, ge=0, le=1, description="Share of clips that speak two pieces one after the other."
    )
    held_out: float = Field(default=0.02, gt=0, lt=1, description="Share of documents kept for evaluation.")
    exclude: Path | None = Field(
        default=None,
        description="Folder with the published sets: no training text shares five words in a row with any of theirs.",
    )
    seed: NonNegativeInt = Field(default=0, description="Seed of order, voices and joins.")


class TrainingVoice(Closed):
    """One voice of the training speech."""

    share: Share = Field(description="Share of the clips; shares are normalised.")
    voice: VoiceSpec = Field(description="The voice.")


class FramesConfig(Closed):
    """First stage: each connector output is classified into the token that is being spoken."""

    epochs: PositiveFloat = Field(default=5.0, description="Passes over the clips.")
    batch_size: PositiveInt = Field(default=64, description="Clips a step.")
    learning_rate: PositiveFloat = Field(default=1.2e-3, description="Peak of the schedule (warm-up, then cosine).")
    warmup: PositiveInt = Field(default=100, description="Steps of the warm-up.")
    weight_decay: float = Field(default=0.01, ge=0, description="AdamW's weight decay.")
    label_smoothing: float = Field(default=0.05, ge=0, lt=1, description="Label smoothing.")
    sequence_from: float = Field(
        default=0.4, ge=0, le=1, description="Share of the steps after which the loss is that of the token sequence."
    )
    hidden: float = Field(default=0.05, ge=0, lt=1, description="Share of the encoder frames hidden in training.")
    drawn_classes: PositiveInt = Field(
        default=2_000, description="Tokens drawn at random beside those of a batch, in place of the whole vocabulary."
    )
    evaluate_every: PositiveInt = Field(default=250, description="Steps between evaluations and checkpoints.")


class DistilConfig(Closed):
    """Second stage: through the frozen text LLM, towards what it says to the words themselves."""

    steps: NonNegativeInt = Field(default=400, description="Steps; 0 leaves the stage out.")
    batch_size: PositiveInt = Field(default=32, description="Clips a step.")
    learning_rate: PositiveFloat = Field(default=2e-4, description="Peak of the schedule (warm-up, then cosine).")
    warmup: PositiveInt = Field(default=30, description="Steps of the warm-up.")
    weight_decay: float = Field(default=0.01, ge=0, description="AdamW's weight decay.")
    anchor: float = Field(default=0.3, ge=0, description="Weight of the first stage's loss beside the distillation.")
    repeat: float = Field(
        default=0.4, ge=0, le=1, description="Share of clips that are transcribed rather than judged."
    )
    tasks: list[TaskName] = Field(
        default=["ag_news", "sst2"], validate_default=False, description="Tasks whose prompts are distilled."
    )
    evaluate_every: PositiveInt = Field(default=100, description="Steps between evaluations and checkpoints.")


class ConnectorSpec(Closed):
    """A connector to train: between which models, of which shape, on what."""

    audio_model: Name = Field(description="Whisper model whose encoder hears.")
    text_model: Name = Field(description="Text LLM that reads; it is never changed.")
    stack_factor: PositiveInt = Field(default=8, description="Encoder frames (20 ms) that become one connector frame.")
    outputs: PositiveInt = Field(default=2, description="Outputs of one connector frame.")
    width: PositiveInt = Field(default=512, description="Width of the connector's blocks.")
    blocks: NonNegativeInt = Field(default=2, description="Bidirectional transformer blocks.")
    heads: PositiveInt = Field(default=8, description="Attention heads a block.")

    @field_validator("heads")
    @classmethod
    def _share_the_width(cls, heads: int, info: ValidationInfo) -> int:
        # Positions turn pairs of a head's numbers.
        if (width := info.data.get("width")) is not None and width % (2 * heads):
            raise ValueError(f"it must divide width ({width}) into heads of an even width")
        return heads

    reach: PositiveInt = Field(default=32, description="Connector frames that a frame attends to on either side.")
    hidden: PositiveInt = Field(default=1024, description="Width of the output's SwiGLU.")
    clips: PositiveInt = Field(default=43_000, description="Training clips.")
    least_occurrences: PositiveInt = Field(
        default=2, description="A token must be spoken so often in training to be in the connector's vocabulary."
    )
    shard_clips: PositiveInt = Field(default=1_000, description="Clips a shard; one job makes one shard.")
    evaluation_clips: PositiveInt = Field(default=300, description="Held-out clips a voice.")
    transcription: TranscriptionPrompt = Field(description="How a transcript is asked for in the second stage.")
    texts: TextsConfig = Field(description="What is read aloud.")
    voices: dict[Name, TrainingVoice] = Field(min_length=1, description="Who reads it, by name.")
    evaluation_voices: list[str] = Field(min_length=1, description="Voices of the held-out clips, among `voices`.")
    frames: FramesConfig = Field(default=FramesConfig(), description="First stage.")
    distil: DistilConfig = Field(default=DistilConfig(), description="Second stage.")
    seed: NonNegativeInt = Field(default=0, description="Seed of weights and batches.")
