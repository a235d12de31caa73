"""What a layer knows of sound and text: ridge probes of utterances, the CTC probe of frames (paper sections 3.4, 5.1).

Ridge probes read an utterance's mean state; their targets are its energy and its pitch, within its voice, and its bag
of characters, see ``ridge_probes``. The CTC probe reads frames. Beside each stand its controls: the same probe taught
with other utterances' targets of the same voice (selectivity, after Hewitt and Liang 2019), and for the CTC probe one
that sees a constant in place of the states.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import torch

from cascade_equivalence.config.mechanism import ProbesConfig
from cascade_equivalence.errors import StudyError
from cascade_equivalence.files import write_text
from cascade_equivalence.identity import OF, Names
from cascade_equivalence.mechanism.characters import Alphabet, character_errors, feasible
from cascade_equivalence.mechanism.ctc import CtcProbe, Lesson, StoredFrames, Taught, train_probes
from cascade_equivalence.mechanism.probe_utterances import Floats, Utterances
from cascade_equivalence.mechanism.ridge_probes import CONFIDENCE, ENOUGH, Target, ridge_results
from cascade_equivalence.mechanism.states import States, pooled, read_index
from cascade_equivalence.stats.explained import Explained
from cascade_equivalence.stats.statistic import estimate

VALIDATION = 0.1
"""Share of the training items that stop the CTC probe early."""
NO_CHARACTERS = "the test utterances have no characters"


def probe_layer(
    states_path: Path,
    index_path: Path,
    utterances_path: Path,
    config: ProbesConfig,
    target_json: Path,
    target_probe: Path,
    of: Names,
) -> None:
    """Probe one layer and write what was found and the CTC probe; equal seeds give equal files.

    Args:
        states_path: The states.
        index_path: Their index.
        utterances_path: The probe utterances with split, text, energy and pitch.
        config: Settings of the probes.
        target_json: Result, as JSON: ``of``, ``width``, ``utterances`` {train, test}, ``frames``, ``energy``,
            ``pitch``, ``boc`` (see :func:`ridge_results`) and ``ctc`` (see :func:`ctc_result`).
        target_probe: The CTC probe, for :func:`~.ctc.read_ctc_probe`.
        of: Which they are: ``model``, whether its blocks are ``untrained``, and ``layer``.

    Raises:
        StudyError: The files do not fit each other, or the states hold what is no number.
    """
    states = States(states_path)
    index, table, utterances = _read(index_path, utterances_path, states, config.ctc.characters)
    means = pooled(states, index)
    if not np.isfinite(means).all():
        raise StudyError(f"{states_path} holds states that are not numbers: capture them again in wider arithmetic")
    energy, pitch = (table[name].cast(pl.Float64).to_numpy()[:, None] for name in ("energy_db", "log_f0"))
    boc = np.array([utterances.alphabet.frequencies(text) for text in utterances.texts])
    targets = {"energy": Target(energy, within=True), "pitch": Target(pitch, within=True), "boc": Target(boc)}
    ctc, probe = ctc_result(StoredFrames(states, index), utterances, config)
    result = {
        OF: dict(of),
        "width": states.width,
        "utterances": {"train": int(utterances.train.sum()), "test": int((~utterances.train).sum())},
        "frames": states.rows,
        **ridge_results(means, targets, utterances, config),
        "ctc": ctc,
    }
    probe.write(target_probe, {"layer": str(of["layer"]), "reason": ctc["reason"] or ""})
    write_text(target_json, json.dumps(result, indent=2, allow_nan=False) + "\n")


def _read(
    index_path: Path, utterances_path: Path, states: States, characters: int
) -> tuple[pl.DataFrame, pl.DataFrame, Utterances]:
    """Index and utterances, both in the order of the utterances table, whatever the order of the states."""
    index = read_index(index_path, states).sort("utterance")
    known = pl.read_parquet(utterances_path).with_row_index("utterance").cast({"utterance": pl.Int64})
    table = index.join(known, on=["utterance", "task", "id", "voice"], how="left", maintain_order="left")
    if table["split"].null_count():
        raise StudyError(f"{index_path} lists other utterances than {utterances_path}: capture the states again")
    if not index.height or not index["frames"].min():
        raise StudyError(f"{index_path} lists an utterance without states, or none: capture the states again")
    alphabet = Alphabet.of(table.filter(split="train")["text"], characters)
    if not alphabet.characters:
        raise StudyError(f"no training utterance of {utterances_path} has a text: draw the utterances again")
    items = [f"{task}/{name}" for task, name in table.select("task", "id").iter_rows()]
    train = (table["split"] == "train").to_numpy()
    if train.all():
        raise StudyError(f"no utterance of {utterances_path} tests: raise mechanism.states.per_task")
    return index, table, Utterances(items, table["voice"].to_list(), table["text"].to_list(), train, alphabet)


def ctc_result(frames: StoredFrames, utterances: Utterances, config: ProbesConfig) -> tuple[dict[str, Any], CtcProbe]:
    """The CTC probe and its controls.

    Characters outside the alphabet are left out of what is to be said and of what it is compared with.

    Args:
        frames: Frames of the utterances.
        utterances: The utterances, in the same order.
        config: Settings.

    Returns:
        The result and the probe. ``decodability``, max(0, 1 - CER) over the test utterances, with its interval ``low``
        and ``high`` (jackknife over items), and ``by_item``, the characters ``missed`` of those that are ``there`` in
        each of the test ``items``, and ``by_utterance``, the same of each utterance; the ``cer`` itself;
        ``shuffled`` and ``prior``, the decodability of probes that learnt other utterances' texts, or saw a constant
        in place of the states; ``feasible_share``, the share of all utterances with enough outputs for their text;
        ``epochs`` run; ``label_entropy`` in nats and ``blank_share`` of the best labels over the training frames;
        ``alphabet``, ``upsample``, and the ``reason`` why a value is null.
    """
    alphabet, upsample = utterances.alphabet, config.ctc.upsample
    labels = [alphabet.labels(text) for text in utterances.texts]
    possible = [feasible(count, upsample, said) for count, said in zip(frames.counts, labels, strict=True)]
    learners, tests = utterances.places(train=True), utterances.places(train=False)
    rng = np.random.default_rng(config.seed)
    # Utterances that cannot be said would be no use for stopping early.
    names = sorted({utterances.items[place] for place in learners if possible[place]})
    held_out = {*rng.permutation(names)[: max(1, round(VALIDATION * len(names)))]} if len(names) >= ENOUGH else {}
    train, validation = ([p for p in learners if (utterances.items[p] in held_out) is out] for out in (False, True))
    shuffled = list(labels)
    for place, other in zip(learners, utterances.shuffled(learners, rng).tolist(), strict=True):
        shuffled[place] = labels[other]
    lessons = [Lesson(labels), Lesson(shuffled), Lesson(labels, hears=False)]
    taught, *controls = train_probes(frames, lessons, train, validation, alphabet, config.ctc, config.seed)
    missed = _missed(frames, [taught, *controls], utterances, tests)
    items = [utterances.items[place] for place in tests]
    apart = Explained([f"{place:09}" for place in tests], *missed[0])
    own, *twins = (Explained.of_rows(items, *each, floored=True) for each in missed)
    found = estimate({"decodability": own.statistic(NO_CHARACTERS)}, own.count, CONFIDENCE)["decodability"]
    learnt = found.value is not None and taught.reason is None
    everything = np.ones((1, own.count))
    labelled = torch.zeros(alphabet.blank + 1, dtype=torch.int64)
    for _, joined in frames.pieces(learners):
        labelled += torch.bincount(taught.probe.labels(joined), minlength=len(labelled))
    shares = labelled.double() / labelled.sum()
    fellows = [
        float(twin.share(everything)[0]) if learnt and control.reason is None else None
        for twin, control in zip(twins, controls, strict=True)
    ]
    return {
        "decodability": found.value if learnt else None,
        "cer": float(own.ratio(everything)[0]) if learnt else None,
        "low": found.low if learnt else None,
        "high": found.high if learnt else None,
        "by_item": own.as_json() if learnt else None,
        "by_utterance": utterances.told_apart(tests, apart) if learnt else None,
        "shuffled": fellows[0],
        "prior": fellows[1],
        "feasible_share": sum(possible) / len(possible),
        "epochs": taught.epochs,
        "label_entropy": float(torch.special.entr(shares).sum()),
        "blank_share": float(shares[alphabet.blank]),
        "alphabet": alphabet.characters,
        "upsample": upsample,
        "reason": taught.reason or found.reason,
    }, taught.probe


def _missed(
    frames: StoredFrames, taught: Sequence[Taught], utterances: Utterances, tests: Sequence[int]
) -> list[tuple[Floats, Floats]]:
    """Character errors of each probe on the test utterances, of their characters: (tests,) each."""
    heard: list[list[str]] = [[] for _ in taught]
    for piece, joined in frames.pieces(tests):
        for states in joined.split([frames.counts[place] for place in piece]):
            for texts, each in zip(heard, taught, strict=True):
                texts.append(each.probe.decode(states))
    said = [utterances.alphabet.clean(utterances.texts[place]) for place in tests]
    found = []
    for texts in heard:
        characters, errors = np.array([character_errors(*pair) for pair in zip(said, texts, strict=True)], float).T
        found.append((errors, characters))
    return found
