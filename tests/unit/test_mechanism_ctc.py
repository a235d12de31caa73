"""Characters and the CTC probe: against brute force, jiwer, and texts that were planted in the states."""

import itertools
from collections.abc import Sequence
from pathlib import Path

import jiwer
import numpy as np
import polars as pl
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from cascade_equivalence.config.mechanism import CtcConfig
from cascade_equivalence.errors import StudyError
from cascade_equivalence.mechanism import ctc
from cascade_equivalence.mechanism.characters import (
    Alphabet,
    character_errors,
    feasible,
    normalise,
    outputs_needed,
)
from cascade_equivalence.mechanism.ctc import CtcProbe, Lesson, StoredFrames, read_ctc_probe, train_probes
from cascade_equivalence.mechanism.states import States, StatesWriter

ALPHABET = Alphabet(" abcde")
WIDTH = 24
CONFIG = CtcConfig(learning_rate=0.1, batch_size=8)


@given(st.text())
def test_normalising_twice_is_normalising_once(text: str) -> None:
    once = normalise(text)
    assert normalise(once) == once == once.strip()


def test_texts_are_compared_without_case_and_compatibility() -> None:
    assert normalise("  The\u00a0\ufb01rst\n ROW\uff01") == "the first row!"


@given(st.lists(st.text("abcXYZ  ,.", max_size=12), min_size=1, max_size=6), st.integers(1, 6))
def test_the_alphabet_holds_the_commonest_characters(texts: list[str], size: int) -> None:
    found = Alphabet.of(texts, size)
    joined = "".join(normalise(text) for text in texts)
    assert len(found.characters) == len(set(found.characters)) == min(size, len(set(joined)))
    counts = [joined.count(character) for character in found.characters]
    left_out = [joined.count(character) for character in set(joined) - set(found.characters)]
    assert counts == sorted(counts, reverse=True) and max(left_out, default=0) <= min(counts, default=0)
    assert found == Alphabet.of(reversed(texts), size)


@given(st.text("abcdexyz  ", max_size=20))
def test_a_bag_holds_the_shares_of_the_characters(text: str) -> None:
    bag, clean = ALPHABET.frequencies(text), ALPHABET.clean(text)
    if clean:
        assert bag.sum() == pytest.approx(1)
        assert (bag * len(clean)).tolist() == pytest.approx([clean.count(character) for character in " abcde"])
    else:
        assert np.isnan(bag).all()


@given(st.text("abcdexyz  ", max_size=20))
def test_labels_spell_the_text_once_blanks_part_them(text: str) -> None:
    parted = [part for label in ALPHABET.labels(text) for part in (label, label, ALPHABET.blank)]
    assert ALPHABET.spell(parted) == ALPHABET.clean(text)
    assert not set(ALPHABET.clean(text)) - set(ALPHABET.characters)


@pytest.mark.parametrize("frames", range(6))
def test_feasible_is_what_some_path_says(frames: int) -> None:
    tiny = Alphabet("ab")
    # All label sequences that paths of this length can say, by CTC's rule: runs become one, then blanks go.
    paths = itertools.product(range(3), repeat=frames)
    sayable = {tuple(label for label, _ in itertools.groupby(path) if label != tiny.blank) for path in paths}
    for length in range(1, frames + 2):
        for said in itertools.product(range(2), repeat=length):
            assert feasible(frames, 1, said) == (said in sayable)
            assert feasible(1, frames, said) == (said in sayable)
            assert (outputs_needed(said) <= frames) == (said in sayable)
    assert not feasible(frames, 1, [])


@given(st.lists(st.tuples(st.text("abc ", max_size=9), st.text("abc ", max_size=9)), min_size=1, max_size=8))
def test_character_errors_add_up_to_the_error_rate_of_jiwer(pairs: list[tuple[str, str]]) -> None:
    pairs = [(said.strip(), heard.strip()) for said, heard in pairs]
    counted = [character_errors(*pair) for pair in pairs]
    assert all(character_errors("", heard) == (0, len(heard)) for _, heard in pairs)
    spoken = [(pair, own) for pair, own in zip(pairs, counted, strict=True) if pair[0]]
    if spoken:
        references, hypotheses = zip(*(pair for pair, _ in spoken), strict=True)
        rate = sum(own[1] for _, own in spoken) / sum(own[0] for _, own in spoken)
        assert rate == pytest.approx(jiwer.cer(list(references), list(hypotheses)))


def plant(
    path: Path, texts: Sequence[str], noise: float = 0.3, scale: float | np.ndarray = 1, shift: float | np.ndarray = 0
) -> StoredFrames:
    """States in which each frame shows a character, for one or two frames, with blanks between some of them."""
    rng = np.random.default_rng(7)
    shapes = rng.standard_normal((ALPHABET.blank + 1, WIDTH))
    counts = []
    with StatesWriter(path, WIDTH, torch.float32, {}) as writer:
        for text in texts:
            shown = []
            for label in ALPHABET.labels(text):
                shown += [label] * int(rng.integers(1, 3)) + [ALPHABET.blank]
            states = shapes[shown] + noise * rng.standard_normal((len(shown), WIDTH))
            writer.add(torch.from_numpy(states * scale + shift).float())
            counts.append(len(shown))
    starts = np.cumsum([0, *counts[:-1]])
    return StoredFrames(States(path), pl.DataFrame({"start": starts, "frames": counts}))


def texts(count: int, seed: int = 0) -> list[str]:
    rng = np.random.default_rng(seed)
    return [
        " ".join("".join(rng.choice(list("abcde"), rng.integers(1, 6))) for _ in range(rng.integers(2, 5)))
        for _ in range(count)
    ]


def train(frames: StoredFrames, lessons: Sequence[Lesson], count: int, config: CtcConfig = CONFIG) -> list[ctc.Taught]:
    """Train on the first four fifths, the last tenth of which stops it."""
    learners = list(range(count * 4 // 5))
    cut = len(learners) * 9 // 10
    return train_probes(frames, lessons, learners[:cut], learners[cut:], ALPHABET, config, 0)


def decodability(probe: CtcProbe, frames: StoredFrames, said: Sequence[str], places: Sequence[int]) -> float:
    heard = [probe.decode(states(frames, place)) for place in places]
    return max(0.0, 1 - jiwer.cer([said[place] for place in places], heard))


def states(frames: StoredFrames, place: int) -> torch.Tensor:
    return frames.states.part(frames.starts[place], frames.starts[place] + frames.counts[place])


def lessons(said: Sequence[str]) -> list[Lesson]:
    """The texts, other utterances' texts, and the texts without the states."""
    labels = [ALPHABET.labels(text) for text in said]
    other = [labels[place] for place in np.random.default_rng(1).permutation(len(labels))]
    return [Lesson(labels), Lesson(other), Lesson(labels, hears=False)]


def test_planted_characters_are_decoded_and_the_controls_say_next_to_nothing(tmp_path: Path) -> None:
    said = texts(80)
    frames = plant(tmp_path / "layer0.safetensors", said)
    true, other, prior = (taught.probe for taught in train(frames, lessons(said), 80))
    test = range(64, 80)
    assert decodability(true, frames, said, test) > 0.97
    assert decodability(other, frames, said, test) < 0.1
    assert decodability(prior, frames, said, test) < 0.1
    assert not prior.weight.any()


def test_states_without_a_text_decode_to_no_more_than_the_controls(tmp_path: Path) -> None:
    said = texts(80)
    frames = plant(tmp_path / "layer0.safetensors", texts(80, seed=9), noise=1.0)
    enough = [place for place in range(80) if feasible(frames.counts[place], 1, ALPHABET.labels(said[place]))]
    true, *_ = train(frames, lessons(said), 80)
    assert len(enough) > 40
    assert decodability(true.probe, frames, said, range(64, 80)) < 0.1


def test_a_shift_and_scale_of_the_states_does_not_matter(tmp_path: Path) -> None:
    said = texts(60)
    rng = np.random.default_rng(3)
    scale, shift = np.exp(rng.normal(0, 1, WIDTH)), rng.normal(0, 5, WIDTH)
    plain = plant(tmp_path / "plain0.safetensors", said)
    moved = plant(tmp_path / "moved0.safetensors", said, scale=scale, shift=shift)
    (first,), (second,) = (train(frames, lessons(said)[:1], 60) for frames in (plain, moved))
    for place in range(60):
        torch.testing.assert_close(
            first.probe.logits(states(plain, place)), second.probe.logits(states(moved, place)), atol=2e-2, rtol=1e-3
        )
        assert first.probe.decode(states(plain, place)) == second.probe.decode(states(moved, place))


def test_equal_seeds_give_equal_probes_alone_and_in_company(tmp_path: Path) -> None:
    said = texts(40)
    frames = plant(tmp_path / "layer0.safetensors", said)
    labels = [ALPHABET.labels(text) for text in said]
    alone, again, beside = (
        train(frames, some, 40)[0].probe
        for some in ([Lesson(labels)], [Lesson(labels)], [Lesson(labels), Lesson(labels, hears=False)])
    )
    assert torch.equal(alone.weight, again.weight) and torch.equal(alone.bias, again.bias)
    torch.testing.assert_close(alone.weight, beside.weight, atol=1e-5, rtol=1e-5)


def test_memory_is_a_matter_of_pieces_and_pieces_do_not_matter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said = texts(40)
    frames = plant(tmp_path / "layer0.safetensors", said)
    whole = train(frames, lessons(said)[:1], 40)[0].probe
    monkeypatch.setattr(ctc, "FRAMES_AT_ONCE", 50)
    sizes = [len(joined) for _, joined in frames.pieces(range(40))]
    assert sum(sizes) == frames.states.rows and max(sizes) <= max(50, *frames.counts)
    pieced = train(frames, lessons(said)[:1], 40)[0].probe
    torch.testing.assert_close(whole.logits(states(frames, 0)), pieced.logits(states(frames, 0)), atol=0.02, rtol=0.01)


def test_pieces_hold_the_utterances_that_were_asked_for(tmp_path: Path) -> None:
    frames = plant(tmp_path / "layer0.safetensors", texts(6))
    ((places, joined),) = frames.pieces([4, 0, 2])
    assert places == [4, 0, 2]
    assert torch.equal(joined, torch.cat([states(frames, place) for place in places]))


def test_an_unfeasible_text_teaches_nothing_and_says_why(tmp_path: Path) -> None:
    said = ["abcde abcde abcde"] * 10
    frames = plant(tmp_path / "layer0.safetensors", ["ab"] * 10)
    labels = [ALPHABET.labels(text) for text in said]
    (none,) = train(frames, [Lesson(labels)], 10)
    assert none.reason is not None and "upsample" in none.reason and none.epochs == 0
    assert none.probe.decode(states(frames, 0)) == ""
    assert (none.probe.labels(states(frames, 0)) == ALPHABET.blank).all()
    (some,) = train(frames, [Lesson(labels)], 10, CONFIG.model_copy(update={"upsample": 9}))
    assert some.reason is None and some.epochs > 0


def test_upsampling_decodes_what_does_not_fit_into_the_frames(tmp_path: Path) -> None:
    # Each frame shows a pair of characters, "ab" to "ea".
    rng = np.random.default_rng(0)
    shapes = {first + second: rng.standard_normal(WIDTH) for first, second in itertools.permutations("abcde", 2)}
    path, said, counts = tmp_path / "layer0.safetensors", [], []
    with StatesWriter(path, WIDTH, torch.float32, {}) as writer:
        for _ in range(80):
            pairs = rng.choice(list(shapes), 6)
            writer.add(torch.tensor(np.array([shapes[pair] for pair in pairs])).float())
            said.append("".join(pairs))
            counts.append(len(pairs))
    frames = StoredFrames(States(path), pl.DataFrame({"start": np.cumsum([0, *counts[:-1]]), "frames": counts}))
    labels = [ALPHABET.labels(text) for text in said]
    config = CONFIG.model_copy(update={"upsample": 3, "epochs": 60})
    (taught,) = train(frames, [Lesson(labels)], 80, config)
    assert decodability(taught.probe, frames, said, range(64, 80)) > 0.9
    probe, own = taught.probe, states(frames, 0)
    assert probe.logits(own).shape == (18, ALPHABET.blank + 1) and probe.labels(own).shape == (6,)
    assert torch.equal(probe.labels(own), probe.logits(own).argmax(1)[::3])


@settings(max_examples=20, deadline=None)
@given(st.integers(1, 3), st.integers(1, 9), st.integers(0, 99))
def test_a_probe_reads_back_and_treats_frames_alone(upsample: int, count: int, seed: int) -> None:
    from tempfile import TemporaryDirectory

    rng = torch.Generator().manual_seed(seed)
    outputs = upsample * (ALPHABET.blank + 1)
    probe = CtcProbe(torch.randn(outputs, 5, generator=rng), torch.randn(outputs, generator=rng), " abcdé", upsample)
    with TemporaryDirectory() as folder:
        probe.write(Path(folder) / "new" / "probe.safetensors", {"layer": "3"})
        again = read_ctc_probe(Path(folder) / "new" / "probe.safetensors")
    assert (again.alphabet, again.upsample) == (probe.alphabet, probe.upsample)
    frames = torch.randn(count, 5, generator=rng)
    logits = again.logits(frames)
    torch.testing.assert_close(logits, (frames @ probe.weight.T + probe.bias).reshape(-1, ALPHABET.blank + 1))
    torch.testing.assert_close(logits, torch.cat([again.logits(frame[None]) for frame in frames]))
    # States come in the arithmetic they are stored in.
    assert again.labels(frames.bfloat16()).shape == (count,)


def test_a_file_that_is_no_probe_is_an_error(tmp_path: Path) -> None:
    frames = plant(tmp_path / "layer0.safetensors", ["ab"])
    assert frames.states.rows
    (tmp_path / "torn.safetensors").write_bytes(b"torn")
    for name in ("layer0", "torn", "missing"):
        with pytest.raises(StudyError, match=rf"{name}.safetensors is no CTC probe.*run again"):
            read_ctc_probe(tmp_path / f"{name}.safetensors")
