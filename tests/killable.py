"""The library's long work on tiny input, as functions that a process of its own can run and be killed in."""

from pathlib import Path

from cascade_equivalence.config.speech import EspeakVoice
from cascade_equivalence.config.study import AnswerConfig, TranscribeConfig
from cascade_equivalence.models.answering import answer_questions
from cascade_equivalence.models.question import Answer, ModelFiles, Question
from cascade_equivalence.models.transcription.run import transcribe_recordings
from cascade_equivalence.models.transcription.table import recordings
from cascade_equivalence.models.transcription.transcript import Transcript
from cascade_equivalence.speech.clips import Clip
from cascade_equivalence.speech.synthesize import Utterance, synthesize_clips

COUNT = 120


def use_one_thread() -> None:
    """Keep torch from starting threads of its own."""
    import torch

    torch.set_num_threads(1)


def answer(store: Path, models: Path) -> list[Answer]:
    """Answer prompts with the tiny Llama, one at a time."""
    use_one_thread()
    questions = [
        Question(({"role": "user", "content": f"Positive or negative? Review {n}."},), "The sentiment is", {})
        for n in range(COUNT)
    ]
    config = AnswerConfig(device="cpu", dtype="float32", batch_size=1)
    return answer_questions(questions, ModelFiles(models / "llama-a", "r1", True), config, 4, store, "answers")


def speak(store: Path, count: int = COUNT) -> list[Clip]:
    """Speak short texts with espeak-ng."""
    items = [Utterance(f"item-{n}", f"Number {n}.") for n in range(count)]
    return synthesize_clips(items, "us", EspeakVoice(provider="espeak"), 30.0, store, workers=1)


def transcribe(store: Path, models: Path, clips: list[Clip]) -> list[Transcript]:
    """Transcribe clips with the tiny Whisper, one at a time."""
    use_one_thread()
    config = TranscribeConfig(device="cpu", dtype="float32", batch_size=1, max_new_tokens=4)
    return transcribe_recordings(recordings(clips), models / "whisper-a", "r1", config, store, "transcripts")
