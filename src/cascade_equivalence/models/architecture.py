"""What an architecture of speech LLMs is: how a checkpoint of it is known, what is in it, what opens it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cascade_equivalence.errors import StudyError
from cascade_equivalence.models.checkpoint import read_json
from cascade_equivalence.registry import Registry

if TYPE_CHECKING:
    import torch

    from cascade_equivalence.models.question import SpeechFiles
    from cascade_equivalence.models.speech_llm.model import SpeechLLM
    from cascade_equivalence.models.text_llm import TextLLM

CONFIG = "config.json"
PROCESSORS = ("preprocessor_config.json", "processor_config.json")
"""Files in which the library looks for what makes spectrograms."""
SECTIONS = ("feature_extractor", "audio_processor")
"""What may stand in them by a name."""
ARCHITECTURES: "Registry[Architecture]" = Registry(
    "architecture", home="cascade_equivalence.models.speech_llm.architectures"
)
"""Those that can be opened. A checkpoint says in its ``model_type`` which it is of."""

Opener = Callable[["SpeechFiles", "TextLLM", str, "torch.dtype"], "SpeechLLM"]
"""Loads a speech LLM of a checkpoint around a text LLM, on a device, in an arithmetic."""


def library_text_config(config: Mapping[str, Any]) -> Mapping[str, Any]:
    """The section of a whole model's config on its text LLM, as the transformers library completes it.

    Published configs leave out what the library's class for them has as a default.

    Raises:
        ValueError: The library does not know the model, or an AttributeError, KeyError or TypeError of its own.
    """
    from transformers import AutoConfig

    found: dict[str, Any] = AutoConfig.for_model(**config).get_text_config().to_dict()
    return found


@dataclass(frozen=True, kw_only=True)
class OwnText:
    """The text LLM that checkpoints of an architecture hold.

    Attributes:
        network: Gives its class; its ``from_pretrained`` opens it out of the whole checkpoint, its ``config_class``
            reads the whole's config. One whose blocks read token ids beside the vectors has ``beside_sound``: from
            tokens (rows, columns), ``AUDIO`` where sound stands, to what ``forward`` takes beside them. One that
            cannot be built without its blocks has a true ``blocks_in_one``.
        config: Its config out of the whole's, with the keys of a text LLM's.
        model_type: What kind of network it is, where its config does not say that; it decides which text LLMs are of
            its family.
        chat_template: The chat template of a checkpoint whose tokenizer comes without one.
    """

    network: Callable[[], Any]
    config: Callable[[Mapping[str, Any]], Mapping[str, Any]] = library_text_config
    model_type: str | None = None
    chat_template: Callable[[], str] | None = None


@dataclass(frozen=True, kw_only=True)
class InVllm:
    """How vLLM runs checkpoints of an architecture, as vLLM 0.32 has it.

    In what is written ``{sound}`` stands for the audio token, and names of fields of the config in braces for the
    tokens whose ids they hold.

    Attributes:
        classes: Names in a config's ``architectures`` that vLLM's registry of models has.
        written: How sound stands in a turn that the model reads.
        plain: The same without a chat template, where that differs.
        asked: What stands in its place in the prompt that vLLM is given, where it adds the rest.
        adapter: Whether it hears through a LoRA that lies beside its weights, unless its config says that it has none.
    """

    classes: tuple[str, ...]
    written: str
    plain: str | None = None
    asked: str | None = None
    adapter: bool = False


@dataclass(frozen=True, kw_only=True)
class Architecture:
    """An architecture of speech LLMs.

    Attributes:
        name: The ``model_type`` of its checkpoints.
        title: What a reader sees.
        open: Loads a checkpoint around a text LLM.
        own_text: The text LLM that its checkpoints hold; None where one speaks through another model.
        files: Names of files that it needs to hear, beside config, weights and tokenizer.
        more_types: Further values of ``model_type`` that it goes by.
        refused: Values of ``model_type`` of layouts that cannot be opened: what they are, and what to take instead.
        vllm: How vLLM runs it; None where it cannot, or only with code out of a checkpoint's repository.

    Raises:
        StudyError: ``open`` is no function.
    """

    name: str
    title: str
    open: Opener
    own_text: OwnText | None = None
    files: tuple[str, ...] = ()
    more_types: tuple[str, ...] = ()
    refused: Mapping[str, str] = field(default_factory=dict)
    vllm: InVllm | None = None

    def __post_init__(self) -> None:
        if not callable(self.open):
            raise StudyError(f"The architecture {self.name!r} needs a function that opens its checkpoints: `open`")


def find_architecture(kind: object, where: Path) -> Architecture:
    """The architecture of a ``model_type``.

    Args:
        kind: What the config says.
        where: The checkpoint, for messages.

    Raises:
        StudyError: There is none of that name, or it is a layout that cannot be opened.
    """
    for architecture in ARCHITECTURES.values():
        if kind in (architecture.name, *architecture.more_types):
            return architecture
        if str(kind) in architecture.refused:
            raise StudyError(f"{where} is {architecture.refused[str(kind)]}")
    try:
        return ARCHITECTURES.find(str(kind))
    except StudyError as error:
        raise StudyError(f"{where} is of a model of type {kind!r}. {error}") from error


def architecture_in(folder: Path) -> Architecture:
    """The architecture of a speech LLM's checkpoint.

    Raises:
        StudyError: It has no config, or is of an architecture that cannot be opened.
    """
    path = folder / CONFIG
    if not path.is_file():
        raise StudyError(f"{path} does not exist: give the folder of a speech LLM's checkpoint")
    return find_architecture(read_json(path).get("model_type"), folder)


def own_text_in(folder: Path) -> OwnText | None:
    """The text LLM that lies in a speech LLM's checkpoint; None for any other folder, such as a text LLM's."""
    path = folder / CONFIG
    kind = read_json(path).get("model_type") if path.is_file() else None
    found = [each.own_text for each in ARCHITECTURES.values() if kind in (each.name, *each.more_types)]
    return found[0] if found else None


def check_files(architecture: Architecture, folder: Path) -> None:
    """Refuse a checkpoint that lacks files it needs to hear; its text LLM may do without.

    Raises:
        StudyError: It does.
    """
    missing = [name for name in architecture.files if not (folder / name).is_file()]
    if missing:
        raise StudyError(
            f"{folder} lacks {' and '.join(missing)}, which {architecture.title} needs to hear: let `files` of its "
            "entry match (a source of kind `path` takes files of the top folder only: use the hub's), and fetch the "
            "model again"
        )


def sound_settings(folder: Path) -> Mapping[str, Any]:
    """What a checkpoint says of its feature extractor.

    Raises:
        StudyError: Neither of the files in which the library looks for one names one: its processor makes nothing of
            sound.
    """
    found = [read_json(folder / name) for name in PROCESSORS if (folder / name).is_file()]
    found += [part for each in found for key in SECTIONS if isinstance(part := each.get(key), dict)]
    for section in found:
        if "feature_extractor_type" in section:
            return section
    raise StudyError(
        f"{folder}: neither {' nor '.join(PROCESSORS)} is there and names a feature extractor, so its processor makes "
        "nothing of sound: fetch the model again, with these files"
    )


def check_own_text(text: "TextLLM", folder: Path) -> None:
    """Refuse a text LLM that is not the checkpoint's own: its answers would pass for the speech LLM's.

    Args:
        text: The text LLM.
        folder: The speech LLM's checkpoint.

    Raises:
        StudyError: It was loaded from elsewhere.
    """
    given = Path(text.tokenizer.name_or_path)
    if given.resolve() != folder.resolve():
        raise StudyError(
            f"{folder} holds its own text LLM, but was given that of {given}: remove `text_model` from its entry"
        )
