"""The folder of an adapter: its own files, with those of the speech LLM and the text LLM that it changes."""

import json
from collections.abc import Mapping
from pathlib import Path

from cascade_equivalence.errors import StudyError
from cascade_equivalence.models.architecture import CONFIG
from cascade_equivalence.models.checkpoint import SINGLE, read_json
from cascade_equivalence.models.sources.manifest import read_manifest
from cascade_equivalence.models.speech_llm.speech_adapter import ADAPTER_FILES

TOKENIZER = ("tokenizer", "special_tokens", "vocab", "merges", "chat_template")
"""How the names of a tokenizer's files begin; one is looked for at the top of a folder."""


def adapted(scale: float, parts: Mapping[str, Path]) -> dict[str, str] | None:
    """What an adapter's folder depends on beside its own files; None for what is no adapter.

    Args:
        scale: How much of its change is made.
        parts: Resolved folders by part.
    """
    if not parts:
        return None
    return {**{part: read_manifest(folder).revision for part, folder in parts.items()}, "scale": repr(scale)}


def put_together(files: Mapping[str, Path], scale: float, parts: Mapping[str, Path], work: Path) -> dict[str, Path]:
    """The files of an adapter's folder.

    Args:
        files: The adapter's own: its config, what carries the voice, and the change to the text LLM.
        scale: How much of its change is made; it is written into the config.
        parts: Resolved folders of the ``base`` and of its ``text`` LLM.
        work: Folder for the config that is written.

    Returns:
        Name in the folder to file: the parts' in a folder each, the tokenizer beside the adapter's own.

    Raises:
        StudyError: The source lacks a file that every adapter has.
    """
    if missing := [name for name in (CONFIG, SINGLE, *ADAPTER_FILES) if name not in files]:
        raise StudyError(
            f"the source is no adapter, which its `base` makes of the entry: it gives no {', '.join(missing)}. An "
            f"adapter holds {CONFIG}, {SINGLE} (what carries the voice) and {' and '.join(ADAPTER_FILES)} (the change "
            "to the text LLM), as `train_adapter` writes them; a whole speech LLM has no `base`"
        )
    found = dict(files)
    for part, folder in parts.items():
        found |= {f"{part}/{name}": (folder / name).resolve() for name in read_manifest(folder).files}
    text = parts["text"]
    names = [name for name in read_manifest(text).files if name.startswith(TOKENIZER)]
    found |= {name: (text / name).resolve() for name in names}
    config = read_json(files[CONFIG]) | {"scale": scale, "text_config": read_json(text / CONFIG)}
    work.mkdir(parents=True)
    (work / CONFIG).write_text(json.dumps(config, indent=2, sort_keys=True) + "\n", encoding="utf-8")
    return found | {CONFIG: work / CONFIG}
