"""Prompts with sound as vLLM takes them: token ids with one audio token, in whose place it puts one for each vector.

Open this for what a speech LLM is given in vLLM; which ones it has is in ``Architecture.vllm``.
"""

from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from cascade_equivalence.errors import StudyError
from cascade_equivalence.models.architecture import architecture_in, check_files
from cascade_equivalence.models.checkpoint import read_json
from cascade_equivalence.models.engines import vllm_hearing
from cascade_equivalence.models.prompting import PromptWriter
from cascade_equivalence.models.rendering import control_tokens, defuse
from cascade_equivalence.models.speech_llm.native_kind import SOUND, fill_in
from cascade_equivalence.models.speech_llm.speech_adapter import ADAPTER_FILES
from cascade_equivalence.vocabulary import AUDIO_PLACEHOLDER


@dataclass(frozen=True)
class Written:
    """A prompt with sound in tokens.

    Attributes:
        asked: What vLLM is given, with one audio token.
        read: What the model should read, with one audio token for all of the sound.
    """

    asked: list[int]
    read: list[int]


class HeardInVllm:
    """How a checkpoint's prompts are written for vLLM, as the project's own loop writes them.

    Args:
        folder: The checkpoint, which holds its text LLM.
        writer: Its tokenizer.

    Raises:
        StudyError: vLLM cannot run it, or the checkpoint is incomplete.
    """

    def __init__(self, folder: Path, writer: PromptWriter) -> None:
        hearing, architecture = vllm_hearing(folder), architecture_in(folder)
        if architecture.own_text is None:
            raise StudyError(f"{folder} does not hold its text LLM: set answer.speech_engine to transformers")
        check_files(architecture, folder)
        config = architecture.own_text.network().config_class.from_pretrained(folder)
        self._writer, self._title = writer, architecture.title
        self._placeholders = (defuse(AUDIO_PLACEHOLDER, control_tokens(writer.tokenizer)), AUDIO_PLACEHOLDER)
        self.audio_id = int(config.audio_token_id)
        token = str(writer.tokenizer.convert_ids_to_tokens(self.audio_id))
        read = hearing.written if writer.chat or hearing.plain is None else hearing.plain
        asked = read if hearing.asked is None else hearing.asked
        self._marks = [fill_in(mark, writer.tokenizer, config).replace(SOUND, token) for mark in (asked, read)]
        self.adapter = folder if hearing.adapter and config.has_lora_adapter else None
        """Folder of the LoRA that it hears through, if it has one."""
        self.rank = None if self.adapter is None else _rank(self.adapter)
        """The rank of that."""

    def write(self, prompt: str) -> Written:
        """Tokenize a rendered prompt with one ``AUDIO_PLACEHOLDER``.

        Raises:
            StudyError: It does not hold the placeholder once, or says the audio token.
        """
        defused, plain = self._placeholders
        parts = prompt.replace(defused, plain).split(plain)
        if len(parts) != 2:  # noqa: PLR2004
            raise StudyError(f"a prompt must hold {plain} once, where the sound belongs: {len(parts) - 1} times")
        rows = [self._writer.tokenize(mark.join(parts)) for mark in self._marks]
        if any(row.count(self.audio_id) != 1 for row in rows):
            raise StudyError(f"{self._title}: a prompt must hold the model's audio token once, for the sound")
        return Written(*rows)

    def check_read(self, row: list[int], written: Written) -> None:
        """Refuse an answer to another prompt than the project's own loop reads, as far as words go.

        Args:
            row: The tokens that vLLM read, an audio token for every vector.
            written: The prompt.

        Raises:
            StudyError: They differ outside the sound, or nothing was heard.
        """
        once = [row[0], *(new for old, new in pairwise(row) if not old == new == self.audio_id)]
        if once != written.read:
            raise StudyError(
                f"vLLM reads another prompt of {self._title} than transformers does, around the sound: set "
                "answer.speech_engine to transformers, and report the versions"
            )


def _rank(folder: Path) -> int:
    """Rank of the LoRA beside a checkpoint's weights.

    Raises:
        StudyError: It is not there.
    """
    if missing := [name for name in ADAPTER_FILES if not (folder / name).is_file()]:
        raise StudyError(f"{folder} lacks {' and '.join(missing)}, the adapter that it hears through: fetch it again")
    settings: dict[str, Any] = read_json(folder / ADAPTER_FILES[0])
    return max([int(settings["r"]), *map(int, (settings.get("rank_pattern") or {}).values())])
