"""How long a GPU works: formulas on sizes, free of any study.

A network of N parameters takes 2 N operations for a token that it reads. While it writes, every step moves all of its
weights once for the whole batch, and cannot be quicker than its kernels are launched.
"""

import math

from cascade_equivalence.costs.figures import Figures

BILLION = 1e9
TERA = 1e12
OPERATIONS = 2
"""A multiplication and an addition for each parameter and token."""
MOST_WRITTEN = 128
"""Tokens of a long transcript of one window; answers have fewer."""


def reading_seconds(billions: float, tokens: float, figures: Figures) -> float:
    """Time in which a network reads some tokens or frames.

    Args:
        billions: Its parameters.
        tokens: Tokens, vectors of sound or frames.
        figures: Speeds.

    Returns:
        Seconds.
    """
    return OPERATIONS * billions * BILLION * tokens / (figures.gpu.teraflops * TERA * figures.use.reading)


def writing_seconds(billions: float, tokens: float, batch: int, figures: Figures) -> float:
    """A row's share of the time in which a batch writes some tokens a row.

    Args:
        billions: Parameters of the network.
        tokens: Tokens a row.
        batch: Rows that are written side by side.
        figures: Speeds.

    Returns:
        Seconds.
    """
    moved = billions * BILLION * figures.bytes.weight / (figures.gpu.terabytes_per_second * TERA * figures.use.writing)
    return tokens * max(moved, figures.use.step_milliseconds / 1000) / batch


def hearing_seconds(billions: float, seconds: float, figures: Figures) -> float:
    """Time in which an encoder hears a clip: whole windows, as it pads them.

    Args:
        billions: Parameters of the encoder.
        seconds: Length of the clip.
        figures: Speeds.

    Returns:
        Seconds.
    """
    network = figures.network
    windows = max(1, math.ceil(seconds / network.window_seconds))
    frames = windows * network.window_seconds * network.frames_per_second
    return reading_seconds(billions, frames, figures)


def clip_seconds(role: str, billions: float, batch: int, figures: Figures) -> float:
    """The most that a clip of one window is expected to take: heard, its prompt read, ``MOST_WRITTEN`` tokens written.

    Args:
        role: ``asr``, ``llm`` or ``speech-llm``. What a text LLM reads of a clip is taken for no more than
            a speech LLM's vectors of a whole window.
        billions: Parameters of all models that it goes through.
        batch: Clips at once.
        figures: Speeds.

    Returns:
        Seconds.
    """
    network = figures.network
    beside = figures.use.row_milliseconds / 1000
    if role == "asr":
        hearing = hearing_seconds(network.encoder_share * billions, network.window_seconds, figures)
        decoder = (1 - network.encoder_share) * billions
        return beside + hearing + writing_seconds(decoder, MOST_WRITTEN, batch, figures)
    heard = hearing_seconds(network.tower_billions, network.window_seconds, figures) if role == "speech-llm" else 0.0
    tokens = network.prompt_tokens + network.vectors_per_second * network.window_seconds
    read = reading_seconds(billions, tokens, figures)
    return beside + heard + read + writing_seconds(billions, MOST_WRITTEN, batch, figures)


def loading_seconds(billions: float, figures: Figures) -> float:
    """Time before a node begins: starting, and weights from the disk.

    Args:
        billions: Parameters of all models that it opens.
        figures: Speeds.

    Returns:
        Seconds.
    """
    gigabytes = billions * figures.bytes.weight
    return figures.loading.start_seconds + gigabytes / figures.loading.gigabytes_per_second


def width(billions: float, blocks: int) -> float:
    """Width of a transformer: a block has about twelve matrices of its width by its width.

    Args:
        billions: Its parameters.
        blocks: Its blocks.
    """
    return math.sqrt(billions * BILLION / (12 * blocks))
