"""What a published Ultravox ``config.json`` says, and which of it this project can run."""

from pathlib import Path
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, Field, NonNegativeInt, PositiveInt, ValidationError, model_validator
from transformers import WhisperConfig

from cascade_equivalence.errors import StudyError
from cascade_equivalence.models.checkpoint import read_json

CONFIG = "config.json"
_TOWER_KEYS = (
    "num_mel_bins",
    "d_model",
    "encoder_layers",
    "encoder_attention_heads",
    "encoder_ffn_dim",
    "max_source_positions",
    "activation_function",
)


class UltravoxSettings(BaseModel):
    """The fields of a config that shape the network; all others are ignored. Defaults are Ultravox's own."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    hidden_size: PositiveInt = Field(default=4096, description="Width of the projector before its gate halves it.")
    stack_factor: PositiveInt = Field(default=8, description="Encoder frames a vector.")
    norm_init: float = Field(default=0.4, description="First value of the projector's norm weights.")
    projector_act: str = Field(default="swiglu", description="Activation of the projector.")
    projector_ln_mid: bool = Field(default=False, description="Norm before the second linear layer, not behind it.")
    num_projector_layers: NonNegativeInt | None = Field(default=None, description="Transformer layers of a projector.")
    audio_latency_block_size: PositiveInt | None = Field(
        default=None, description="Encoder frames of a block of the streaming mask."
    )
    audio_config: dict[str, Any] | None = Field(default=None, description="Shape of the audio tower.")
    text_config: dict[str, Any] | None = Field(default=None, description="Shape of the text LLM.")
    audio_model_id: str | None = Field(default=None, description="Where weights of the tower that are left out lie.")
    text_model_id: str | None = Field(default=None, description="Where weights of the text LLM that are left out lie.")
    audio_model_lora_config: dict[str, Any] | None = Field(default=None, description="LoRA of the tower's training.")
    text_model_lora_config: dict[str, Any] | None = Field(default=None, description="LoRA of the LLM's training.")
    llm_only_training: bool = Field(default=False, description="Whether the model was made without its audio part.")
    connector: dict[str, Any] | None = Field(
        default=None, description="Another connector instead of Ultravox's projector; no published config has it."
    )

    @model_validator(mode="after")
    def _supported(self) -> Self:
        if self.projector_act != "swiglu":
            raise ValueError(f"projector_act {self.projector_act!r} is not supported, only 'swiglu'")
        if self.num_projector_layers:
            raise ValueError("num_projector_layers: a projector with transformer layers is not supported")
        if self.llm_only_training:
            raise ValueError("llm_only_training: the model has no audio part")
        if self.hidden_size % 2:
            raise ValueError(f"hidden_size {self.hidden_size} is odd, but the gate takes half of it")
        kind = (self.audio_config or {}).get("model_type", "whisper")
        if kind != "whisper":
            raise ValueError(f"audio_config: an audio tower of type {kind!r} is not supported, only Whisper's encoder")
        return self

    def tower_config(self) -> WhisperConfig | None:
        """Shape of the audio tower; None where the config leaves it to ``audio_model_id``."""
        return tower_config(self.audio_config) if self.audio_config else None


def tower_config(section: dict[str, Any]) -> WhisperConfig:
    """Shape of a Whisper encoder from the keys of the transformers library; absent ones have that library's default."""
    return WhisperConfig(**{key: section[key] for key in _TOWER_KEYS if key in section})


def tower_differences(one: WhisperConfig, other: WhisperConfig) -> list[str]:
    """Keys in which two encoders differ in shape, each with both values."""
    pairs = [(key, getattr(one, key), getattr(other, key)) for key in _TOWER_KEYS]
    return [f"{key} {first} against {second}" for key, first, second in pairs if first != second]


def read_settings(folder: Path) -> UltravoxSettings:
    """Read the ``config.json`` of an Ultravox checkpoint.

    Raises:
        StudyError: There is none, or it is of an Ultravox that is not supported.
    """
    path = folder / CONFIG
    if not path.is_file():
        raise StudyError(f"{path} does not exist: give the folder of an Ultravox checkpoint")
    content = read_json(path)
    try:
        return UltravoxSettings.model_validate(content)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        message = first["msg"].removeprefix("Value error, ")
        raise StudyError(f"{path}: {f'{where}: ' if where else ''}{message}") from error
