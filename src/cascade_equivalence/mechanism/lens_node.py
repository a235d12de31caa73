"""One layer through the logit lens: from its states on disk to a table of what it shows and how much was spoken."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import torch

from cascade_equivalence.config.mechanism import LensConfig
from cascade_equivalence.errors import StudyError
from cascade_equivalence.identity import Names, write_table
from cascade_equivalence.mechanism.bags import Overlap, Pieces, chance, overlaps
from cascade_equivalence.mechanism.lens import Unembedding, open_unembedding
from cascade_equivalence.mechanism.said import exchanges, text_numbers
from cascade_equivalence.mechanism.states import States, frame_owner, read_index
from cascade_equivalence.mechanism.tuned_lens import TunedLens, fit_tuned_lens
from cascade_equivalence.mechanism.utterances import TEST, TRAIN
from cascade_equivalence.models.device import resolve_device, resolve_dtype
from cascade_equivalence.models.prompting import open_tokenizer
from cascade_equivalence.progress import progress

VALIDATION_SHARE = 0.1
"""Share of the training items that decide when the tuned lens is trained."""
UNRANKED = 2**62
"""Stands for the rank of a token in an utterance without frames."""
TABLE = pl.Schema(
    {
        "utterance": pl.Int64(),
        "said": pl.Int64(),
        "voice": pl.String(),
        "tokens": pl.List(pl.String),
        "text": pl.String(),
        "precision": pl.Float64(),
        "recall": pl.Float64(),
        "chance_precision": pl.Float64(),
        "chance_recall": pl.Float64(),
        "kept": pl.Int64(),
        "top": pl.Int64(),
        "top_recall": pl.Float64(),
        "chance_top_recall": pl.Float64(),
    }
)
RANKS = pl.Schema(dict.fromkeys(("ranks", "chance_ranks", "tuned_ranks", "chance_tuned_ranks"), pl.List(pl.Int64)))
ALL = pl.Schema({"all_precision": pl.Float64, "all_recall": pl.Float64})
TUNED = pl.Schema({"tuned_text": pl.String, "tuned_precision": pl.Float64, "tuned_recall": pl.Float64})


def lens_layer(
    states_path: Path,
    last_path: Path,
    index_path: Path,
    utterances_path: Path,
    text_folder: Path,
    config: LensConfig,
    target: Path,
    of: Names,
    label: str,
    device: str = "auto",
    dtype: str = "auto",
) -> None:
    """Read one layer of a speech LLM through its own unembedding, at the audio positions.

    Args:
        states_path: The layer's states.
        last_path: The last layer's; read only for the tuned lens.
        index_path: Index of both.
        utterances_path: What was spoken.
        text_folder: The text LLM inside.
        config: Definition, chance level and tuned lens.
        target: The Parquet file, one row an utterance: utterance, said (number of the text, which is one for
            all its readings), voice, tokens (those that count, see ``bags``), text (of all tokens, see
            ``Pieces.text``), precision, recall, chance_precision, chance_recall, kept (number of tokens),
            and top_recall and chance_top_recall, where the ``top`` likeliest tokens of each frame count as shown;
            where the states are those of the whole prompt also all_precision and all_recall, over all its positions;
            with the tuned lens also tuned_text, tuned_precision and tuned_recall. The tuned lens has seen the items of
            the training split, by which it is trained and stopped: there these columns are null.
            Where ranks are asked for also ranks and chance_ranks, with the tuned lens tuned_ranks and
            chance_tuned_ranks: of each token of what was spoken, and of what other texts say, the best rank
            among all tokens that it has at any frame, 1 for the likeliest.
        of: Which it is: ``model`` and ``layer``.
        label: What the progress lines say.
        device: ``auto``, ``cpu`` or ``cuda``.
        dtype: Arithmetic of norm and unembedding: the one that the states were captured in.

    Raises:
        StudyError: States, index, utterances and model do not fit together, or the tuned lens has too few items.
    """
    where = resolve_device(device)
    unembedding = open_unembedding(text_folder, where, resolve_dtype(dtype, where))
    states = States(states_path)
    if states.width != unembedding.width:
        raise StudyError(
            f"{states_path} has states of width {states.width}, the model's unembedding takes {unembedding.width}: "
            "they are of another model; capture them again"
        )
    index = read_index(index_path, states)
    spoken = _spoken(index, utterances_path)
    pieces = Pieces(open_tokenizer(text_folder))
    references = [pieces.reference(text) for text in spoken["text"]]
    heard = audio_frames(index)

    ranks = _Ranks(pieces, spoken["text"].to_list(), config) if config.ranks else None
    likeliest = _likeliest(states, index, heard, unembedding, label, config.top, ranks=ranks)
    shown = [[tokens[0] for tokens in frames] for frames in likeliest]
    bags = [Counter(pieces.kept(tokens)) for tokens in shown]
    wide = [Counter(pieces.kept(token for tokens in frames for token in tokens)) for frames in likeliest]
    said = text_numbers(spoken["text"].to_list())
    by_chance = chance(bags, references, said, config.shuffles, config.multiset, config.seed)
    columns = {
        "utterance": index["utterance"],
        "said": said,
        "voice": index["voice"],
        "tokens": [pieces.kept(tokens) for tokens in shown],
        "text": [pieces.text(tokens) for tokens in shown],
        **_named("", overlaps(bags, references, config.multiset)),
        **_named("chance_", by_chance),
        "kept": [bag.total() for bag in bags],
        "top": [config.top] * len(bags),
        "top_recall": [each.recall for each in overlaps(wide, references, multiset=False)],
        "chance_top_recall": [
            each.recall for each in chance(wide, references, said, config.shuffles, multiset=False, seed=config.seed)
        ],
    }
    if ranks is not None:
        columns |= ranks.columns("")
    if not heard.all():
        everywhere = _shown(states, index, np.ones_like(heard), unembedding, f"{label}, all positions")
        bags = [Counter(pieces.kept(tokens)) for tokens in everywhere]
        columns |= _named("all_", overlaps(bags, references, config.multiset))
    if config.tuned:
        last = States(last_path)
        read_index(index_path, last)
        lens = _tuned(states, last, index, spoken, heard, unembedding, config)
        tested = (spoken["split"] == TEST).to_numpy()
        ranks = _Ranks(pieces, spoken["text"].to_list(), config) if config.ranks else None
        only = heard & tested[frame_owner(index)]
        shown = _shown(states, index, only, unembedding, f"{label}, tuned", lens, ranks)
        bags = [Counter(pieces.kept(tokens)) for tokens in shown]
        tuned: dict[str, list[Any]] = {
            "tuned_text": [pieces.text(tokens) for tokens in shown],
            **_named("tuned_", overlaps(bags, references, config.multiset)),
        }
        if ranks is not None:
            tuned |= ranks.columns("tuned_")
        columns |= {
            name: [value if test else None for value, test in zip(values, tested.tolist(), strict=True)]
            for name, values in tuned.items()
        }
    known = {**TABLE, **ALL, **TUNED, **RANKS}
    write_table(pl.DataFrame(columns, schema={name: known[name] for name in columns}), target, of)


def audio_frames(index: pl.DataFrame) -> np.ndarray:
    """Mask (frames,) of the frames that are sound."""
    place = np.concatenate([[0], *(np.arange(frames) for frames in index["frames"])])[1:]
    owner = frame_owner(index)
    first, count = (index[name].to_numpy()[owner] for name in ("audio_start", "audio_frames"))
    mask: np.ndarray = (place >= first) & (place < first + count)
    return mask


def _spoken(index: pl.DataFrame, path: Path) -> pl.DataFrame:
    """The rows of the utterances table that the index is about, in its order.

    Raises:
        StudyError: They are not the same utterances.
    """
    utterances, names = pl.read_parquet(path), ["task", "id", "voice"]
    rows = index["utterance"].to_list()
    if not all(0 <= row < utterances.height for row in rows) or not utterances[rows].select(names).equals(
        index.select(names)
    ):
        raise StudyError(f"the states are of other utterances than those in {path}: capture them again")
    return utterances[rows]


def _shown(
    states: States,
    index: pl.DataFrame,
    heard: np.ndarray,
    unembedding: Unembedding,
    label: str,
    tuned: TunedLens | None = None,
    ranks: "_Ranks | None" = None,
) -> list[list[int]]:
    """Most likely token of each frame that is asked for, by utterance."""
    found = _likeliest(states, index, heard, unembedding, label, 1, tuned, ranks)
    return [[tokens[0] for tokens in frames] for frames in found]


def _likeliest(
    states: States,
    index: pl.DataFrame,
    heard: np.ndarray,
    unembedding: Unembedding,
    label: str,
    top: int,
    tuned: TunedLens | None = None,
    ranks: "_Ranks | None" = None,
) -> list[list[list[int]]]:
    """Most likely tokens of each frame that is asked for, by utterance; of the layer only the tokens are in memory."""
    found: list[list[int]] = []
    owner = torch.from_numpy(frame_owner(index))
    nothing = torch.empty(0, dtype=torch.long)
    with progress(label, states.rows) as advance:
        for start, part in states.chunks(unembedding.frames_at_once):
            kept = heard[start : start + len(part)]
            sound = part[kept] if tuned is None else tuned(part[kept])
            tokens, placed = unembedding.ranked(sound, top, nothing if ranks is None else ranks.asked)
            found += tokens.tolist()
            if ranks is not None:
                ranks.add(owner[start : start + len(part)][kept], placed)
            advance(len(part))
    counts = np.bincount(frame_owner(index)[heard], minlength=index.height)
    ends = np.cumsum(counts).tolist()
    return [found[end - count : end] for end, count in zip(ends, counts.tolist(), strict=True)]


class _Ranks:
    """The best rank that each token of any transcript has among the frames of each utterance.

    Args:
        pieces: What tokens write.
        texts: What is said in each utterance.
        config: Pairings with other transcripts, for chance.
    """

    def __init__(self, pieces: Pieces, texts: Sequence[str], config: LensConfig) -> None:
        self._spoken = [pieces.spoken(text) for text in texts]
        self.asked = torch.tensor(sorted({token for tokens in self._spoken for token in tokens}), dtype=torch.long)
        self._places = {token: place for place, token in enumerate(self.asked.tolist())}
        self._best = torch.full((len(texts), len(self.asked)), UNRANKED)
        self._texts, self._exchanges = texts, exchanges(text_numbers(texts), config.shuffles, config.seed)

    def add(self, owner: torch.Tensor, ranks: torch.Tensor) -> None:
        """Take in ranks (frames, asked) of frames with their utterances (frames,)."""
        self._best.scatter_reduce_(0, owner[:, None].expand_as(ranks), ranks, "amin")

    def columns(self, prefix: str) -> dict[str, list[list[int]]]:
        """Ranks of each utterance's own tokens, and of those of the texts that it is paired with."""
        others: list[list[int]] = [[] for _ in self._texts]
        for partner in self._exchanges:
            for place, other in enumerate(partner.tolist()):
                if self._texts[place] != self._texts[other]:
                    others[place] += self._of(place, other)
        own = [self._of(place, place) for place in range(len(self._texts))]
        return {f"{prefix}ranks": own, f"chance_{prefix}ranks": others}

    def _of(self, place: int, other: int) -> list[int]:
        found: list[int] = self._best[place, [self._places[token] for token in self._spoken[other]]].tolist()
        return [rank for rank in found if rank < UNRANKED]


def _named(prefix: str, scores: Sequence[Overlap]) -> dict[str, list[float | None]]:
    return {
        f"{prefix}precision": [score.precision for score in scores],
        f"{prefix}recall": [score.recall for score in scores],
    }


def _tuned(
    states: States,
    last: States,
    index: pl.DataFrame,
    spoken: pl.DataFrame,
    heard: np.ndarray,
    unembedding: Unembedding,
    config: LensConfig,
) -> TunedLens:
    """The tuned lens of a layer, trained on the audio frames of the training split."""
    train, validation = training_split(spoken, config.seed)
    owner = frame_owner(index)
    rows, checked = (np.flatnonzero(heard & part[owner]) for part in (train, validation))
    return fit_tuned_lens(states, last, rows, checked, unembedding, config.tuned_steps, config.seed).lens


def training_split(spoken: pl.DataFrame, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Masks (utterances,) of what a tuned lens is trained on and validated with.

    Args:
        spoken: task, id and split of each utterance.
        seed: Seed of the draw.

    Returns:
        Parts of the training split without an item in common; the second is a tenth of its items, or one if there are
        two, and empty if there are fewer.
    """
    names = (spoken["task"] + "/" + spoken["id"]).to_numpy()
    training = (spoken["split"] == TRAIN).to_numpy()
    items = np.unique(names[training])
    count = min(len(items) - 1, max(1, round(VALIDATION_SHARE * len(items))))
    drawn = np.random.default_rng(seed).permutation(items)[: max(0, count)]
    validation = training & np.isin(names, drawn)
    return training & ~validation, validation
