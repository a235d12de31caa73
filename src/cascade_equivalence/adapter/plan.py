"""What a voice adapter's training consists of, as planning needs it: its shards, their voices' kinds, its texts."""

from cascade_equivalence.config.voice_training import VoiceAdapterSpec

STYLED, PLAIN, HELD_OUT = "styled", "plain", "held"
MOST_TEXTS = 30_000
"""Training texts at most."""


def shards(spec: VoiceAdapterSpec) -> list[str]:
    """Names of the shards: ``styled-0003``, ``plain-0001``, and ``held-us`` for each held-out voice."""
    counts = {STYLED: spec.clips, PLAIN: spec.plain_clips}
    numbered = [f"{kind}-{at:04d}" for kind, count in counts.items() for at in range(-(-count // spec.shard_clips))]
    return [*numbered, *(f"{HELD_OUT}-{voice}" for voice in spec.evaluation_voices)]


def text_counts(spec: VoiceAdapterSpec) -> tuple[int, int]:
    """Texts wanted for training and held out; a text may be spoken more than once, in another voice and style."""
    # Held-out texts are looked through for short ones.
    return min(spec.clips + spec.plain_clips, MOST_TEXTS), 8 * spec.evaluation_texts
