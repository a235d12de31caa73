"""Checks, before a speech LLM answers a study, that it hears a known clip, alone and in a batch."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from cascade_equivalence.errors import StudyError
from cascade_equivalence.models.speech_llm.model import SpeechLLM
from cascade_equivalence.models.transcription.words import word_errors

NEW_TOKENS = 48
BATCH_TOLERANCE = 0.2
"""Share of words that may differ between a clip's answer alone and in a batch."""


def preflight(model: SpeechLLM, clips: Sequence[np.ndarray], texts: Sequence[str], prompt: str) -> dict[str, Any]:
    """Ask a speech LLM about known clips and refuse one that is broken.

    Args:
        model: The speech LLM.
        clips: At least two waveforms of different lengths (16 kHz, float32).
        texts: What is said in each.
        prompt: A rendered prompt with the audio placeholder that asks for a transcript.

    Returns:
        What was heard, the vectors of each clip and the word errors, for the record. How well it hears is not judged: a
        weak model is a result, a broken one is not.

    Raises:
        StudyError: Logits are not finite, answers are empty, one word repeated or the same for every clip, or a batch
            answers otherwise than its clips alone.
    """
    prompts = [prompt] * len(clips)
    rows, heard = model.rows(prompts, clips)
    _check_logits(model, rows, heard)
    together = [answer.text for answer in model.text.generate(rows, NEW_TOKENS, heard=heard)]
    alone = [
        model.text.generate(*_one(model, prompt, clip))[0].text for prompt, clip in zip(prompts, clips, strict=True)
    ]
    # In reduced precision a near tie may fall otherwise in a batch; more than a word in five is no rounding.
    pairs = word_errors(alone, together)
    moved = sum(wrong for _, wrong in pairs) / max(1, sum(words for words, _ in pairs))
    if moved > BATCH_TOLERANCE:
        raise StudyError(
            f"the speech LLM answers a batch otherwise than its clips alone: {together!r} against {alone!r}. Set "
            "answer.dtype to float32, or answer.batch_size to 1, and report the model"
        )
    if len(set(together)) == 1:
        raise StudyError(
            f"the speech LLM answers every clip alike ({together[0]!r}): it does not hear; check its weights"
        )
    for answer in together:
        words = answer.split()
        if not words or (len(words) > 3 and len(set(words)) == 1):  # noqa: PLR2004
            raise StudyError(f"the speech LLM's answer is degenerate ({answer!r}): check its weights and its prompt")
    errors = word_errors(texts, together)
    return {
        "heard": list(together),
        "said": list(texts),
        "words_moved_by_batching": moved,
        "vectors": [len(vectors) for vectors in heard],
        "words": sum(words for words, _ in errors),
        "word_errors": sum(wrong for _, wrong in errors),
    }


def _one(model: SpeechLLM, prompt: str, clip: np.ndarray) -> tuple[list[list[int]], int, int, None, list[torch.Tensor]]:
    rows, heard = model.rows([prompt], [clip])
    return rows, NEW_TOKENS, 0, None, heard


def _check_logits(model: SpeechLLM, rows: list[list[int]], heard: list[torch.Tensor]) -> None:
    end = model.text.tokenize("yes")
    for row, vectors in zip(rows, heard, strict=True):
        if not bool(torch.isfinite(vectors.float()).all()):
            raise StudyError(
                "the speech LLM's connector gives numbers that are not finite: set answer.dtype to float32"
            )
        (score,) = model.text.log_likelihoods(row, [end], heard=[vectors])
        if not np.isfinite(score):
            raise StudyError("the speech LLM's logits are not finite: set answer.dtype to float32")
