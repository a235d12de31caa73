"""What the files of a model say about its shape, read without loading it."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cascade_equivalence.errors import StudyError
from cascade_equivalence.models.architecture import OwnText, find_architecture
from cascade_equivalence.models.checkpoint import read_header, read_json, weight_files
from cascade_equivalence.models.openai_whisper import WEIGHTS, read_dimensions, transformers_dimensions
from cascade_equivalence.models.sources.manifest import Fact
from cascade_equivalence.models.transcription.recognisers import TRANSFORMERS, WHISPER, find_recogniser

_TOKENIZERS = ("tokenizer.json", "tokenizer.model", "vocab.json")
# Fact: the names that the configs of different architectures give it.
_LLM_FACTS = {
    "layers": ("num_hidden_layers", "n_layer"),
    "hidden": ("hidden_size", "n_embd"),
    "heads": ("num_attention_heads", "n_head"),
    "kv_heads": ("num_key_value_heads",),
    "head_dim": ("head_dim",),
    "ffn": ("intermediate_size", "n_inner"),
    "vocab": ("vocab_size",),
    "max_positions": ("max_position_embeddings", "n_positions"),
    "tied_embeddings": ("tie_word_embeddings",),
}
# Fact: field of whisper.model.ModelDimensions.
_ASR_FACTS = {
    "encoder_layers": "n_audio_layer",
    "decoder_layers": "n_text_layer",
    "hidden": "n_audio_state",
    "heads": "n_audio_head",
    "mel_bins": "n_mels",
    "vocab": "n_vocab",
}


def _need(files: dict[str, Path], name: str, *alternatives: str) -> None:
    if not any(alternative in files for alternative in alternatives):
        given = ", ".join(sorted(files)) or "nothing"
        raise StudyError(f"{name}: the source gives no {' or '.join(alternatives)}; it gives {given}")


def _parameters(paths: list[Path]) -> int:
    return sum(math.prod(shape) for path in paths for shape in read_header(path).shapes.values())


def llm_facts(files: dict[str, Path], name: str) -> dict[str, Fact]:
    """Shape of a text LLM.

    Args:
        files: Name in the model folder to file.
        name: The model, for messages.

    Returns:
        Model type, layers, hidden width, heads, vocabulary and so on; None for what the config does not say.
        `parameters` counts the stored weights, tied ones once.

    Raises:
        StudyError: A file the model needs is missing or damaged.
    """
    _need(files, name, "config.json")
    _need(files, name, *_TOKENIZERS)
    config = read_json(files["config.json"])
    # Models that also see or hear keep the text part in a section of its own.
    facts = _llm_shape(config.get("text_config") or config)
    if facts["tied_embeddings"] is None:
        facts["tied_embeddings"] = config.get("tie_word_embeddings")
    shape: dict[str, Fact] = {"model_type": config.get("model_type"), "classes": config.get("architectures")}
    return facts | shape | {"parameters": _parameters(weight_files(files, name))}


def _llm_shape(section: Mapping[str, Any]) -> dict[str, Fact]:
    return {fact: next((section[key] for key in keys if key in section), None) for fact, keys in _LLM_FACTS.items()}


def _own_llm(own: OwnText, config: dict[str, Any], name: str) -> dict[str, Fact]:
    """Shape of the text LLM that a speech LLM's checkpoint holds, as :func:`llm_facts` gives it for a text LLM.

    Raises:
        StudyError: The config cannot be read.
    """
    kind = config["model_type"]
    try:
        text = own.config(config)
    except Exception as error:  # what the library raises on a config that is none is its own affair
        reason = " ".join(str(error).split())
        raise StudyError(f"{name}: config.json is not that of a {kind} model ({reason}); fetch it again") from error
    return _llm_shape(text) | {"model_type": own.model_type or text.get("model_type")}


def asr_facts(files: dict[str, Path], name: str) -> dict[str, Fact]:
    """Shape of a recogniser.

    Args:
        files: Name in the model folder to file.
        name: The model, for messages.

    Returns:
        Of Whisper layers, width, heads, mel bins, vocabulary, stored parameters, and the `engines` that can read the
        folder. Of another recogniser its model type, stored parameters and engine.

    Raises:
        StudyError: A file the model needs is missing or damaged, or it is of a kind that cannot be opened.
    """
    _need(files, name, "config.json")
    config = read_json(files["config.json"])
    # CTranslate2's configs do not say it.
    kind = config.get("model_type", WHISPER if WEIGHTS in files else None)
    if (recogniser := find_recogniser(kind, name)) is not None:
        _need(files, name, "preprocessor_config.json", "processor_config.json")
        _need(files, name, *_TOKENIZERS, "tekken.json")
        count = _parameters(weight_files(files, name))
        return {"model_type": recogniser.name, "engines": [TRANSFORMERS], "parameters": count}
    if WEIGHTS in files:
        _need(files, name, "tokenizer.json")
        _need(files, name, "vocabulary.txt", "vocabulary.json")
        dimensions, weights = read_dimensions(files[WEIGHTS]), [files[WEIGHTS]]
        engines = ["faster-whisper", "hybrid", "openai-whisper"]
    else:
        dimensions = transformers_dimensions(config)
        weights, engines = weight_files(files, name), ["openai-whisper"]
    facts: dict[str, Fact] = {fact: dimensions[field] for fact, field in _ASR_FACTS.items()}
    return facts | {"model_type": "whisper", "engines": engines, "parameters": _parameters(weights)}


def speech_facts(files: dict[str, Path], name: str) -> dict[str, Fact]:
    """Shape of a speech LLM: an audio tower, a connector and a text LLM, of which the checkpoint holds some.

    Args:
        files: Name in the model folder to file.
        name: The model, for messages.

    Returns:
        Model type, connector, which parts the checkpoint holds, the models it names for the others, stored parameters.
        Of a checkpoint that holds the text LLM the model type is that LLM's, with the rest of its shape: what backbones
        are compared by. ``speech_model_type`` is the whole's.

    Raises:
        StudyError: A file the model needs is missing or damaged, or it is of an architecture that cannot be opened.
    """
    _need(files, name, "config.json")
    config = read_json(files["config.json"])
    kind = config.get("model_type")
    architecture = find_architecture(kind, files["config.json"])
    weights = weight_files(files, name)
    parts = sorted({tensor.partition(".")[0] for path in weights for tensor in read_header(path).shapes})
    connector = config.get("connector") or {}
    own = {"model_type": kind} if architecture.own_text is None else _own_llm(architecture.own_text, config, name)
    return own | {
        "speech_model_type": kind,
        "connector": connector.get("kind", architecture.name),
        "stack_factor": connector.get("stack_factor", config.get("stack_factor")),
        "parts": parts,
        "text_model_id": config.get("text_model_id"),
        "audio_model_id": config.get("audio_model_id"),
        "parameters": _parameters(weights),
    }
