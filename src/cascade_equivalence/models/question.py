"""`Question`, `Answer` and the files of a model: the types that all answering code shares."""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from cascade_equivalence.config.study import AnswerConfig
from cascade_equivalence.errors import StudyError
from cascade_equivalence.files import sha256
from cascade_equivalence.models.architecture import ARCHITECTURES, architecture_in
from cascade_equivalence.models.device import resolve_device, resolve_dtype
from cascade_equivalence.models.recording import Recording

HEARD_AT_ONCE, SECONDS_AT_ONCE = 256, 2048.0
"""Most clips whose vectors are in memory at once, and how long they may last together."""


@dataclass(frozen=True)
class Question:
    """One prompt.

    Attributes:
        messages: The conversation, its last turn the user's.
        answer_prefix: Words the answer begins with; the model continues them.
        candidates: Label to answer text, for the forced choice.
        audio: What a speech LLM hears where the last turn holds the audio placeholder.
    """

    messages: tuple[Mapping[str, str], ...]
    answer_prefix: str
    candidates: Mapping[str, str]
    audio: Recording | None = None


@dataclass(frozen=True)
class SpeechFiles:
    """Resolved weights of a speech LLM's ear.

    Attributes:
        folder: Its own checkpoint.
        revision: Hash of that.
        audio_folder: The Whisper model that hears, where the checkpoint has no audio tower.
        audio_revision: Hash of that.
    """

    folder: Path
    revision: str
    audio_folder: Path | None = None
    audio_revision: str | None = None

    def identity(self) -> dict[str, object]:
        """What of it decides an answer; where a plugin opens it, the plugin's code, too."""
        identity: dict[str, object] = {"speech": self.revision, "audio_model": self.audio_revision}
        if ARCHITECTURES.all_files() and (files := ARCHITECTURES.files(architecture_in(self.folder).name)):
            identity["plugin"] = [sha256(file) for file in files]
        return identity


@dataclass(frozen=True)
class ModelFiles:
    """Resolved weights of what answers.

    Attributes:
        folder: The text LLM.
        revision: Hash of its weights, from their manifest.
        chat: Whether it has a chat template.
        speech: The ear of a speech LLM; None for a text LLM.
    """

    folder: Path
    revision: str
    chat: bool
    speech: SpeechFiles | None = None

    def identity(self, config: AnswerConfig) -> dict[str, object]:
        """What of it, and of the arithmetic it computes in, decides an answer: part of a record's key."""
        dtype = resolve_dtype(config.dtype, resolve_device(config.device))
        return {
            "revision": self.revision,
            "dtype": str(dtype).removeprefix("torch."),
            "chat": self.chat,
            **(self.speech.identity() if self.speech else {}),
        }


@dataclass(frozen=True)
class Answer:
    """What a model answered.

    Attributes:
        text: Free text, or the label with the highest log-likelihood.
        prompt_sha256: Hash of the rendered prompt.
        prompt_tokens: Its length.
        new_tokens: Tokens generated (0 in a forced choice).
        seconds: Its share of the batch's time.
        scores: Label to log-likelihood in a forced choice, else empty.
    """

    text: str
    prompt_sha256: str
    prompt_tokens: int
    new_tokens: int
    seconds: float
    scores: dict[str, float]


def sound_of(question: Question) -> Recording:
    """The sound of a question.

    Raises:
        StudyError: It has none.
    """
    if question.audio is None:
        raise StudyError("a question without sound cannot be heard: ask about clips")
    return question.audio


def stretches(questions: Sequence[Question]) -> Iterator[slice]:
    """Stretches of questions whose sounds' vectors fit into memory together, so that their number does not count.

    Args:
        questions: Questions with sound.

    Yields:
        Slices, one behind the other.
    """
    start, seconds = 0, 0.0
    for place, question in enumerate(questions):
        lasts = sound_of(question).seconds
        if place > start and (place - start == HEARD_AT_ONCE or seconds + lasts > SECONDS_AT_ONCE):
            yield slice(start, place)
            start, seconds = place, 0.0
        seconds += lasts
    if start < len(questions):
        yield slice(start, len(questions))


def answers_of(
    keys: Sequence[str],
    found: Sequence[tuple[str, int, dict[str, float]]],
    prompts: Mapping[str, str],
    rows: Mapping[str, list[int]],
    seconds: float,
) -> dict[str, Answer]:
    """Answers by key, out of text, new tokens and scores of each."""
    return {
        key: Answer(
            text=text,
            prompt_sha256=hashlib.sha256(prompts[key].encode()).hexdigest(),
            prompt_tokens=len(rows[key]),
            new_tokens=new_tokens,
            seconds=seconds,
            scores=scores,
        )
        for key, (text, new_tokens, scores) in zip(keys, found, strict=True)
    }


def parts_of(question: Question, mode: str) -> dict[str, object]:
    """The question's part of the key."""
    parts: dict[str, object] = {
        "messages": [dict(turn) for turn in question.messages],
        "answer_prefix": question.answer_prefix,
    }
    if mode == "forced_choice":
        parts["candidates"] = dict(question.candidates)
    if question.audio is not None:
        parts["audio"] = question.audio.sha256
    return parts
