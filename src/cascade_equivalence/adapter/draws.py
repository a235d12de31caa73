"""Who says what and how in a voice adapter's training: drawn from the seed and the clip's name alone."""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from cascade_equivalence.adapter.plan import HELD_OUT, PLAIN, STYLED
from cascade_equivalence.config.training import ConnectorSpec
from cascade_equivalence.config.voice_training import ProsodyDraws, VoiceAdapterSpec
from cascade_equivalence.connector.shards import voice_of
from cascade_equivalence.speech.prosody import STYLES, Prosody
from cascade_equivalence.tasks.registry import get_task


@dataclass(frozen=True)
class Planned:
    """One clip to be spoken.

    Attributes:
        id: Its name.
        text: What is said.
        voice: Name of the voice.
        style: Style that it is in; None for a voice as it is.
        prosody: The changes to the voice that this comes to here.
    """

    id: str
    text: str
    voice: str
    style: str | None
    prosody: Prosody | None


def styles_of(spec: VoiceAdapterSpec) -> list[str]:
    """Styles of the tasks that ask for the voice, each once."""
    return list(dict.fromkeys(style for task in spec.voiced_tasks for style in get_task(task).styles))


def draw_shard(texts: pl.DataFrame, shard: str, spec: VoiceAdapterSpec, read: ConnectorSpec) -> list[Planned]:
    """What a shard says.

    Args:
        texts: All texts, from :func:`~..connector.texts.prepare_texts`.
        shard: A name of :func:`~.plan.shards`.
        spec: The adapter.
        read: The connector whose voices read the plain clips.

    Returns:
        The clips. A styled one has a voice and a style drawn evenly, and a prosody near that of the style; a held-out
        text comes in every style of the study, with exactly its prosody.
    """
    kind, _, which = shard.partition("-")
    split = "held_out" if kind == HELD_OUT else "train"
    rows = list(texts.filter(pl.col("split") == split)["id", "text"].iter_rows())
    short = [row for row in rows if len(row[1].split()) <= spec.max_words]
    if kind == HELD_OUT:
        return list(_held_out(short[: spec.evaluation_texts], which, styles_of(spec)))
    number = int(which)
    first, count = number * spec.shard_clips, {STYLED: spec.clips, PLAIN: spec.plain_clips}[kind]
    wanted = range(first, min(first + spec.shard_clips, count))
    pool = short if kind == STYLED else rows
    # More clips than texts: a text comes again, in another voice and style.
    chosen = [(f"{kind}-{at:06d}", pool[at % len(pool)][1]) for at in wanted]
    if kind == STYLED:
        return [_styled(name, text, spec) for name, text in chosen]
    return [Planned(name, text, voice_of(name, read.voices, spec.seed), None, None) for name, text in chosen]


def _held_out(rows: Sequence[tuple[str, str]], voice: str, styles: Sequence[str]) -> Iterator[Planned]:
    for name, text in rows:
        for style in styles:
            yield Planned(f"{name}-{style}", text, voice, style, STYLES[style])


def _styled(name: str, text: str, spec: VoiceAdapterSpec) -> Planned:
    digest = hashlib.sha256(f"{spec.seed}\0{name}".encode()).digest()
    rng = np.random.default_rng(int.from_bytes(digest[:8]))
    style = str(rng.choice(styles_of(spec)))
    voice = str(rng.choice(list(spec.voices)))
    return Planned(name, text, voice, style, near(STYLES[style], spec.prosody, rng))


def near(style: Prosody, draws: ProsodyDraws, rng: np.random.Generator) -> Prosody:
    """A prosody near a style's: its changes stronger or weaker, and the voice itself a little otherwise."""
    strength = rng.uniform(*draws.strength)
    return Prosody(
        rate=style.rate**strength * (1 + rng.uniform(-draws.rate, draws.rate)),
        pitch=round(style.pitch * strength + rng.uniform(-draws.pitch, draws.pitch)),
        range=round(style.range * strength + rng.uniform(-draws.range, draws.range)),
        loudness_db=style.loudness_db * strength + rng.uniform(-draws.loudness_db, draws.loudness_db),
    )
