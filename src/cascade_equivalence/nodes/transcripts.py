"""Transcripts that no ASR makes: the text that was spoken, and what a speech LLM writes down."""

from collections.abc import Sequence
from pathlib import Path

from cascade_equivalence.config.sources import ModelSpec, TranscriptionPrompt
from cascade_equivalence.config.study import ORACLE, AnswerConfig
from cascade_equivalence.models.answering import answer_questions
from cascade_equivalence.models.question import ModelFiles, Question
from cascade_equivalence.models.transcription.answers import has_loop, transcript_of
from cascade_equivalence.models.transcription.table import recordings
from cascade_equivalence.models.transcription.transcript import Transcript
from cascade_equivalence.speech.clips import Clip
from cascade_equivalence.vocabulary import AUDIO_PLACEHOLDER

PLAIN_REQUEST = TranscriptionPrompt(prompt="Transcribe the speech.\n{speech}")
"""What a speech LLM is asked whose entry has no prompt for it."""


def given_texts(asr: str, clips: Sequence[Clip]) -> list[Transcript]:
    """What a cascade without a recogniser reads: what was spoken, or nothing.

    Args:
        asr: A name of ``GIVEN``.
        clips: The clips.
    """
    return [Transcript(clip.text if asr == ORACLE else "") for clip in clips]


def own_transcripts(
    clips: Sequence[Clip],
    spec: ModelSpec,
    model: ModelFiles,
    config: AnswerConfig,
    store: Path,
    label: str,
    kept: Path | None = None,
) -> list[Transcript]:
    """Ask a speech LLM to write down what it hears.

    Args:
        clips: The clips.
        spec: The speech LLM's entry, with its transcription prompt.
        model: Its resolved weights.
        config: Arithmetic and batch size; the mode is always free text, the engine always transformers.
        store: File of the append-only store.
        label: What the progress lines say.
        kept: Folder in which what speech LLMs hear is kept.

    Returns:
        One transcript a clip, in order; see :func:`transcript_of`.
    """
    turns, prefix = transcription_prompt(spec)
    longest = (spec.transcription or PLAIN_REQUEST).max_new_tokens
    questions = [Question(tuple(turns), prefix, {}, recording) for recording in recordings(clips)]
    free = config.model_copy(update={"mode": "generate", "engine": "transformers"})
    answers = answer_questions(questions, model, free, longest, store, label, kept=kept)
    return [
        Transcript(transcript_of(answer.text, prefix), answer.seconds, looped=has_loop(answer.text))
        for answer in answers
    ]


def transcription_prompt(spec: ModelSpec) -> tuple[list[dict[str, str]], str]:
    """Turns and answer prefix that ask a speech LLM for a transcript; a plain request where its entry has none."""
    asked = spec.transcription or PLAIN_REQUEST
    turn = {"role": "user", "content": asked.prompt.replace("{speech}", AUDIO_PLACEHOLDER)}
    return [turn], asked.answer_prefix
