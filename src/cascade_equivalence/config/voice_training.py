"""How a voice adapter is made: what lets a speech LLM that hears words alone hear how they are said."""

from pydantic import Field, NonNegativeInt, PositiveFloat, PositiveInt, ValidationInfo, field_validator

from cascade_equivalence.config.base import Closed
from cascade_equivalence.config.names import Name, TaskName
from cascade_equivalence.config.speech import EspeakVoice


class ProsodyDraws(Closed):
    """How far a training clip departs from the styles of the study, so that none is learned by heart."""

    strength: tuple[PositiveFloat, PositiveFloat] = Field(
        default=(0.75, 1.3), description="Least and greatest factor on all changes of a style."
    )
    rate: float = Field(default=0.06, ge=0, lt=1, description="Spread of the rate, as a share (even on either side).")
    pitch: NonNegativeInt = Field(default=6, description="Spread of the base pitch, in points.")
    range: NonNegativeInt = Field(default=8, description="Spread of the pitch range, in points.")
    loudness_db: float = Field(default=2.0, ge=0, description="Spread of the loudness, in dB.")

    @field_validator("strength")
    @classmethod
    def _in_order(cls, bounds: tuple[float, float]) -> tuple[float, float]:
        if bounds[0] > bounds[1]:
            raise ValueError("the least comes first")
        return bounds


class LoraConfig(Closed):
    """The low-rank change to the text LLM."""

    rank: PositiveInt = Field(default=16, description="Rank of each change.")
    alpha: PositiveInt = Field(default=32, description="Changes are multiplied by this over the rank.")
    dropout: float = Field(default=0.05, ge=0, lt=1, description="Dropout before a change, in training.")
    layers: list[str] = Field(
        default=["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"],
        min_length=1,
        description="Names of the linear layers that are changed, in every block.",
    )


class VoiceSteps(Closed):
    """Training through the text LLM."""

    classifier_steps: NonNegativeInt = Field(
        default=3_000, description="Steps in which the voice path alone learns to tell the styles apart."
    )
    steps: PositiveInt = Field(default=900, description="Steps through the text LLM.")
    batch_size: PositiveInt = Field(default=24, description="Clips a step; one step asks one prompt.")
    learning_rate: PositiveFloat = Field(default=6e-4, description="Peak of the schedule (warm-up, then cosine).")
    warmup: PositiveInt = Field(default=40, description="Steps of the warm-up.")
    weight_decay: float = Field(default=0.01, ge=0, description="AdamW's weight decay.")
    voiced: float = Field(default=0.6, ge=0, le=1, description="Share of steps that ask a task of the voice.")
    typed: float = Field(
        default=0.3, ge=0, le=1, description="Share of the other steps' clips that are typed rather than heard."
    )
    evaluate_every: PositiveInt = Field(default=100, description="Steps between evaluations and checkpoints.")


class VoiceAdapterSpec(Closed):
    """A voice adapter to train: on which speech LLM, of which shape, on what."""

    base: Name = Field(description="Speech LLM that it changes; its encoder and connector stay as they are.")
    voiced_tasks: list[TaskName] = Field(
        min_length=1,
        description="Tasks whose label lies in the voice: learned from clips that differ in the voice alone.",
    )
    text_tasks: list[TaskName] = Field(
        default=[], description="Tasks on which it should go on saying what its text LLM says to the true words."
    )
    hidden: PositiveInt = Field(default=256, description="Hidden layer of the voice path.")
    loudness: PositiveFloat = Field(
        default=0.6, description="Longest vector of the voice path, as a share of the mean length of a word's vector."
    )
    lora: LoraConfig = Field(default=LoraConfig(), description="The change to the text LLM.")
    clips: PositiveInt = Field(default=16_000, description="Training clips in the styles of the voiced tasks.")
    plain_clips: PositiveInt = Field(default=6_000, description="Training clips for the text tasks.")
    shard_clips: PositiveInt = Field(default=1_000, description="Clips a shard; one job makes one shard.")
    max_words: PositiveInt = Field(default=14, description="Longest text that is spoken in styles.")
    evaluation_texts: PositiveInt = Field(
        default=24, description="Held-out texts, each spoken in every style by every held-out voice."
    )
    read: Name = Field(description="Connector whose texts are read aloud, the plain clips by its voices.")
    voices: dict[Name, EspeakVoice] = Field(min_length=1, description="Who speaks in styles, by name.")
    evaluation_voices: dict[Name, EspeakVoice] = Field(
        min_length=1, description="Held-out voices: none may be among `voices`."
    )
    prosody: ProsodyDraws = Field(default=ProsodyDraws(), description="How the training clips are spoken.")
    training: VoiceSteps = Field(default=VoiceSteps(), description="The training.")
    seed: NonNegativeInt = Field(default=0, description="Seed of weights, draws and batches.")

    @field_validator("evaluation_voices")
    @classmethod
    def _held_out(cls, held_out: dict[str, EspeakVoice], info: ValidationInfo) -> dict[str, EspeakVoice]:
        trained = {voice.name for voice in info.data.get("voices", {}).values()}
        if shared := sorted({voice.name for voice in held_out.values()} & trained):
            raise ValueError(f"the voice {shared[0]!r} is trained on, so it is not held out: name others")
        return held_out
