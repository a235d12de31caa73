"""How long a GPU works: formulas on sizes, free of any study.

A network of N parameters takes 2 N operations for a token that it reads. While it writes, every step moves all of its
weights once for the whole batch, and cannot be quicker than its kernels are launched.
"""

import math
from dataclasses import dataclass

from cascade_equivalence.costs.figures import Figures

BILLION = 1e9
TERA = 1e12
OPERATIONS = 2
"""A multiplication and an addition for each parameter and token."""


@dataclass(frozen=True)
class ItemLength:
    """How much a model gets of an item.

    Attributes:
        seconds: Length of the sound.
        letters: Letters of what is said.
        options: Letters of the item's options together.
    """

    seconds: float
    letters: float
    options: float = 0.0


def reading_seconds(billions: float, tokens: float, figures: Figures, *, float32: bool = False) -> float:
    """Time in which a network reads some tokens or frames.

    Args:
        billions: Its parameters.
        tokens: Tokens, vectors of sound or frames.
        figures: Speeds.
        float32: Whether it computes in float32.

    Returns:
        Seconds.
    """
    teraflops = figures.gpu.float32_teraflops if float32 else figures.gpu.teraflops
    return OPERATIONS * billions * BILLION * tokens / (teraflops * TERA * figures.use.reading)


def writing_seconds(billions: float, tokens: float, batch: int, figures: Figures, *, float32: bool = False) -> float:
    """A row's share of the time in which a batch writes some tokens a row.

    Args:
        billions: Parameters of the network.
        tokens: Tokens a row.
        batch: Rows that are written side by side.
        figures: Speeds.
        float32: Whether its weights are in float32, twice as many bytes.

    Returns:
        Seconds.
    """
    size = billions * BILLION * figures.bytes.weight * (2 if float32 else 1)
    moved = size / (figures.gpu.terabytes_per_second * TERA * figures.use.writing)
    return tokens * max(moved, figures.use.step_milliseconds / 1000) / batch


def frames(seconds: float, figures: Figures) -> float:
    """Frames that an encoder hears of a clip: whole windows, as it pads them.

    Args:
        seconds: Length of the clip.
        figures: Length of a window, frames a second.
    """
    network = figures.network
    return max(1, math.ceil(seconds / network.window_seconds)) * network.window_seconds * network.frames_per_second


def hearing_seconds(billions: float, seconds: float, figures: Figures) -> float:
    """Time in which an encoder hears a clip, in whole windows.

    Args:
        billions: Parameters of the encoder.
        seconds: Length of the clip.
        figures: Speeds.

    Returns:
        Seconds.
    """
    return reading_seconds(billions, frames(seconds, figures), figures)


def transcribing_seconds(
    billions: float, heard: float, written: float, batch: int, figures: Figures, *, float32: bool = False
) -> float:
    """Time in which a Whisper transcribes a clip: encoded, keys and values made of each frame, words written.

    Args:
        billions: Its parameters.
        heard: Frames that its encoder hears.
        written: Tokens of the transcript.
        batch: Clips at once.
        figures: Speeds and shapes.
        float32: Whether the decoder computes in float32.

    Returns:
        Seconds.
    """
    encoder = figures.network.encoder_share * billions
    decoder = billions - encoder
    crossing = reading_seconds(figures.network.crossing_share * decoder, heard, figures, float32=float32)
    writing = writing_seconds(decoder, written, batch, figures, float32=float32)
    return figures.use.row_milliseconds / 1000 + reading_seconds(encoder, heard, figures) + crossing + writing


def asking_seconds(
    billions: float, item: ItemLength, written: float, batch: int, figures: Figures, vectors: float | None = None
) -> float:
    """Time in which a text LLM or a speech LLM answers about an item; what all prompts share is read once for all.

    Args:
        billions: Parameters of the text LLM.
        item: The item.
        written: Tokens of the answer.
        batch: Items at once.
        figures: Speeds and shapes.
        vectors: Of a speech LLM: vectors of a second of sound. None where text is read.

    Returns:
        Seconds.
    """
    hearing = 0.0 if vectors is None else hearing_seconds(figures.network.tower_billions, item.seconds, figures)
    reading = reading_seconds(billions, prompt_tokens(item, figures, vectors), figures)
    beside = figures.use.row_milliseconds / 1000
    return beside + hearing + reading + writing_seconds(billions, written, batch, figures)


def prompt_tokens(item: ItemLength, figures: Figures, vectors: float | None = None) -> float:
    """Tokens and vectors of a prompt that are its own; see :func:`asking_seconds`."""
    network = figures.network
    said = item.letters / network.letters_per_token if vectors is None else vectors * item.seconds
    return network.prompt_tokens + item.options / network.letters_per_token + said


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


def loading_again_seconds(billions: float, figures: Figures) -> float:
    """The same for a node of vLLM's whose job has read the same before: it comes from the machine's memory.

    Of any other such node the model is open already, and it takes ``figures.loading.open_seconds``.
    """
    gigabytes = billions * figures.bytes.weight
    return figures.loading.again_seconds + gigabytes / figures.loading.again_gigabytes_per_second


def width(billions: float, blocks: int) -> float:
    """Width of a transformer: a block has about twelve matrices of its width by its width.

    Args:
        billions: Its parameters.
        blocks: Its blocks.
    """
    return math.sqrt(billions * BILLION / (12 * blocks))
