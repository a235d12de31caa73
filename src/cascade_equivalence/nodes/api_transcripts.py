"""Transcripts of a recogniser that an endpoint runs, with what it charged."""

from collections.abc import Sequence
from pathlib import Path

from cascade_equivalence.identity import Names
from cascade_equivalence.models.api.answers import ask_questions
from cascade_equivalence.models.api.system import ApiSystem
from cascade_equivalence.models.question import Question
from cascade_equivalence.models.transcription.table import recordings, write_transcripts
from cascade_equivalence.models.transcription.transcript import Transcript
from cascade_equivalence.nodes.api_answers import add_service
from cascade_equivalence.speech.clips import Clip


def transcribe_clips(clips: Sequence[Clip], service: ApiSystem, store: Path, label: str, path: Path, of: Names) -> None:
    """Ask a recogniser for transcripts, and write them with their word errors.

    Args:
        clips: The clips, of one condition and any voices.
        service: The recogniser.
        store: File of the append-only store: what is in it is not asked again.
        label: What the progress lines say.
        path: The Parquet file: the columns of every transcript, and those of ``SERVICE``.
        of: Whose they are: ``asr``, ``task`` and ``condition``.

    Raises:
        StudyError: See :func:`~cascade_equivalence.models.api.answers.ask_questions`.
    """
    longest = service.spec.max_output_tokens
    assert longest is not None, "a recogniser's settings say it"
    questions = [Question((), "", {}, recording) for recording in recordings(clips)]
    names = [f"item {clip.id} in voice {clip.voice}" for clip in clips]
    answers = ask_questions(questions, names, service, longest, store, label)
    write_transcripts(clips, [Transcript(answer.text, answer.seconds) for answer in answers], path, of)
    add_service(path, service.spec, questions, longest, store)
