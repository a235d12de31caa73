"""Steering: states moved along the direction in which hearing speech differs from hearing silence.

The direction of a layer is the mean state at the positions of the sound while clips are heard, minus that while silence
as long is heard (activation addition, Turner et al. 2023, arXiv:2308.10248), over clips that are not asked about
afterwards. Moved by strength s, states are x + s v; 1 is the whole difference. The control are random directions of the
same length.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from cascade_equivalence.mechanism.hooks import watched
from cascade_equivalence.mechanism.leace import Eraser
from cascade_equivalence.models.question import Question, sound_of
from cascade_equivalence.models.scoring import score
from cascade_equivalence.models.speech_llm.heard import EarStore, heard_rows
from cascade_equivalence.models.speech_llm.model import SpeechLLM


@dataclass(frozen=True, eq=False)
class Shift:
    """The map x -> x + v.

    Attributes:
        by: v, (d,).
    """

    by: Tensor

    def to(self, device: torch.device | str, dtype: torch.dtype = torch.float32) -> "Shift":
        """The same map elsewhere."""
        return replace(self, by=self.by.to(device, dtype))

    def __call__(self, x: Tensor) -> Tensor:
        """Move states (..., d); computed in float32 or wider, given back in the arithmetic of ``x``."""
        wide = x.to(torch.promote_types(x.dtype, torch.float32))
        return (wide + self.by.to(wide.device, wide.dtype)).to(x.dtype)

    def digest(self) -> str:
        """Hash of the map."""
        return hashlib.sha256(self.by.float().contiguous().numpy().tobytes()).hexdigest()


def mean_states(
    model: SpeechLLM, questions: Sequence[Question], layers: Sequence[int], batch_size: int, ears: EarStore | None
) -> dict[int, Tensor]:
    """Mean state of each layer over all positions of the sounds, (d,), float64.

    Args:
        model: An open speech LLM.
        questions: Prompts with sound.
        layers: Layers to look at.
        batch_size: Prompts read together.
        ears: Where hearings are kept.
    """
    text = model.text
    prompts = [text.render(question.messages, question.answer_prefix) for question in questions]
    rows, heard, _ = heard_rows(model, prompts, list(map(sound_of, questions)), ears)
    prefix = text.usable_prefix(rows)
    shared = text.prefix_cache(rows[0][:prefix])
    sums: dict[int, Tensor] = {}
    counts = dict.fromkeys(layers, 0)

    def receive(layer: int, states: Tensor) -> None:
        if text.at_audio is not None:
            own = states[text.at_audio].double().cpu()
            sums[layer] = sums.get(layer, torch.zeros(own.shape[1], dtype=torch.float64)) + own.sum(0)
            counts[layer] += len(own)

    with watched(model.blocks, layers, receive):
        for start in range(0, len(rows), batch_size):
            some = slice(start, start + batch_size)
            score(text, rows[some], [[] for _ in rows[some]], prefix, shared, heard[some])
    return {layer: sums[layer] / counts[layer] for layer in layers}


def directions(speech: Mapping[int, Tensor], silence: Mapping[int, Tensor]) -> dict[int, Tensor]:
    """The direction of each layer, from silence to speech, (d,), float32."""
    return {layer: (mean - silence[layer]).float() for layer, mean in speech.items()}


def drawn(direction: Tensor, draw: int, seed: int) -> Tensor:
    """A random direction as long as another, (d,)."""
    generator = torch.Generator().manual_seed(seed * 1_000_003 + draw)
    found = torch.randn(direction.shape, generator=generator)
    return found * (direction.norm() / found.norm())


def first_directions(eraser: Eraser, rank: int) -> Eraser:
    """The eraser of the first directions of a concept alone: those along which states tell most of it.

    Args:
        eraser: The eraser; its directions are in the order of their singular values (``leace.fit``).
        rank: How many; 0 changes nothing, and as many as it has, or more, is the eraser itself.
    """
    return Eraser(eraser.left[:, :rank], eraser.right[:rank], eraser.bias)
