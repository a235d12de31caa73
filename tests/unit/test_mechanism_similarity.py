"""CKA and word-wise likeness find what was planted, and nothing where nothing was; ranks are those of the whole row."""

import itertools
import json
import re
import unicodedata
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from study_config import ROOT, changed, one_line
from test_mechanism_lens import SAVE
from tiny_llm import byte_level_tokenizer

from cascade_equivalence.config.load import load_study
from cascade_equivalence.config.mechanism import LensConfig
from cascade_equivalence.config.statistics import StatisticsConfig
from cascade_equivalence.identity import OF, write_table
from cascade_equivalence.mechanism.bags import Pieces
from cascade_equivalence.mechanism.lens import open_unembedding
from cascade_equivalence.mechanism.lens_node import _Ranks
from cascade_equivalence.mechanism.read_words import nearest_tokens
from cascade_equivalence.mechanism.said import exchanges, pairings, text_numbers
from cascade_equivalence.mechanism.similarity import (
    VIEWS,
    Taken,
    alike,
    cka_statistic,
    compare_layer,
    debiased_cka,
    shares,
    word_spans,
)
from cascade_equivalence.report import lens_ranks_table, similarity_table
from cascade_equivalence.report.display import markdown
from cascade_equivalence.report.figures.similarity import similarity_figure
from cascade_equivalence.report.latex import latex
from cascade_equivalence.report.table import TABLES
from cascade_equivalence.stages import similarity
from cascade_equivalence.stages.study import Study
from cascade_equivalence.stats.clusters import Floats
from cascade_equivalence.stats.statistic import estimate


def drawn(seed: int, *shape: int) -> Floats:
    return np.random.default_rng(seed).standard_normal(shape)


def plain_hsic(one: Floats, other: Floats) -> float:
    """Equation 5 of Song et al. (2012), term by term."""
    count, ones = len(one), np.ones(len(one))
    first, second = one @ one.T, other @ other.T
    for gram in (first, second):
        np.fill_diagonal(gram, 0)
    sums = (ones @ first @ ones) * (ones @ second @ ones) / ((count - 1) * (count - 2))
    cross = 2 / (count - 2) * (ones @ first @ second @ ones)
    return float((np.trace(first @ second) + sums - cross) / (count * (count - 3)))


@given(st.integers(4, 12), st.integers(1, 6), st.integers(1, 6), st.integers(0, 99))
def test_cka_is_that_of_the_formula(items: int, width: int, wide: int, seed: int) -> None:
    one, other = drawn(seed, items, width), drawn(seed + 100, items, wide)
    by_hand = plain_hsic(one, other) / np.sqrt(plain_hsic(one, one) * plain_hsic(other, other))
    assert debiased_cka(one, other) == pytest.approx(by_hand, abs=1e-7)


@given(st.integers(5, 30), st.integers(2, 8), st.integers(0, 99), st.floats(0.01, 100))
def test_cka_does_not_see_turns_scales_and_shifts(items: int, width: int, seed: int, scale: float) -> None:
    states, turn = drawn(seed, items, width), np.linalg.qr(drawn(seed + 1, width, width))[0]
    moved = scale * states @ turn + drawn(seed + 2, width)
    assert debiased_cka(states, states) == pytest.approx(1)
    assert debiased_cka(states, moved) == pytest.approx(1)
    other = drawn(seed + 3, items, 5)
    assert debiased_cka(moved, other) == pytest.approx(debiased_cka(states, other), abs=1e-6)


def test_independent_states_have_none_however_wide_they_are() -> None:
    found = [debiased_cka(drawn(seed, 20, 200), drawn(seed + 1000, 20, 300)) for seed in range(60)]
    assert abs(np.mean(found)) < 4 * np.std(found) / np.sqrt(len(found))
    # The biased estimator would say that they are nearly the same.
    apart = [states - states.mean(0) for states in (drawn(0, 20, 200), drawn(1, 20, 300))]
    one, other = (states @ states.T for states in apart)
    assert (one * other).sum() / np.sqrt((one**2).sum() * (other**2).sum()) > 0.8


def test_the_jackknife_leaves_items_out() -> None:
    one, other = drawn(0, 15, 4), drawn(0, 15, 4) + 0.5 * drawn(1, 15, 4)
    statistic = cka_statistic(one, other)
    weights = np.ones((1, 15))
    weights[0, [2, 7]] = 0
    kept = np.flatnonzero(weights[0])
    assert statistic.of(weights)[0] == pytest.approx(debiased_cka(one[kept], other[kept]))
    found = estimate({"": statistic}, 15, 0.95)[""]
    assert found.low is not None and found.value is not None and found.low < found.value
    assert estimate({"": cka_statistic(one[:3], other[:3])}, 3, 0.95)[""].value is None


def paths(words: int, vectors: int) -> list[list[tuple[int, int]]]:
    """All monotone paths through a grid."""
    if words == 1:
        return [[(0, column) for column in range(vectors)]]
    if vectors == 1:
        return [[(row, 0) for row in range(words)]]
    end = (words - 1, vectors - 1)
    before = [*paths(words - 1, vectors), *paths(words, vectors - 1), *paths(words - 1, vectors - 1)]
    return [[*path, end] for path in before]


@settings(max_examples=60)
@given(st.integers(1, 4), st.integers(1, 5), st.integers(0, 999))
def test_spans_are_those_of_the_best_of_all_paths(words: int, vectors: int, seed: int) -> None:
    likeness = np.random.default_rng(seed).uniform(-1, 1, (words, vectors))
    spans = word_spans(likeness)
    assert len(spans) == words and spans[0].start == 0 and spans[-1].stop == vectors
    for one, other in itertools.pairwise(spans):
        assert one.start <= other.start <= one.stop and one.stop <= other.stop
    best = min(paths(words, vectors), key=lambda path: sum(1 - likeness[place] for place in path))
    assert [(span.start, span.stop) for span in spans] == [
        (min(column for row, column in best if row == word), 1 + max(column for row, column in best if row == word))
        for word in range(words)
    ]


def test_a_thing_is_alike_to_itself() -> None:
    states = drawn(3, 9, 16)
    assert alike(states, states) == pytest.approx(np.ones(9))
    assert alike(np.repeat(states, 3, axis=0), states) == pytest.approx(np.ones(9))


def utterances(count: int, noise: float, shift: float = 0.0, seed: int = 0, spread: float = 1.0) -> list[Taken]:
    """Words that are heard as what is read, each one or two vectors long, with noise and another mean and spread."""
    rng = np.random.default_rng(seed)
    found = []
    for number in range(count):
        read = rng.standard_normal((int(rng.integers(4, 9)), 24))
        signal = np.repeat(read, rng.integers(1, 3, len(read)), axis=0)
        heard = (1 - noise) * signal + noise * rng.standard_normal(signal.shape)
        found.append(Taken(f"i{number}", spread * heard + shift, read, np.ones(len(read))))
    return found


def test_planted_likeness_is_found_and_none_is_not() -> None:
    there = compare_layer(utterances(40, 0.3), 4, 0, 0.95)
    none = compare_layer(utterances(40, 1.0), 4, 0, 0.95)
    for name in VIEWS:
        assert (there[f"{name}_difference"].low or 0) > 0.3
        low, high = none[f"{name}_difference"].low, none[f"{name}_difference"].high
        assert low is not None and high is not None and low < 0.05 and high > -0.05 and high - low < 0.2
    assert (there["cka"].value or 0) > 0.7
    assert abs(there["cka_shuffled"].value or 0) < 0.3
    assert abs(none["cka"].value or 0) < 0.3


def test_another_mean_and_spread_are_what_the_views_take_away() -> None:
    found = compare_layer(utterances(30, 0.0, shift=50.0, spread=3.0), 2, 0, 0.95)
    assert (found["as_they_are"].value or 1) < 0
    assert (found["centred"].value or 0) > 0.95
    assert found["matched"].value == pytest.approx(found["centred"].value, abs=0.05)


def readings(texts: int, each: int, seed: int) -> list[Taken]:
    """Texts said more than once, what is heard independent of what is read, and both much the same for a text."""
    rng = np.random.default_rng(seed)
    found = []
    for text in range(texts):
        heard, read = rng.standard_normal((4, 24)), rng.standard_normal((4, 24))
        for _ in range(each):
            noise = 0.05 * rng.standard_normal((4, 24))
            found.append(Taken(f"i{text}", heard + noise, read, np.ones(4)))
    return found


def test_nothing_is_found_where_texts_that_are_said_again_are_heard_as_nothing_that_is_read() -> None:
    found = [compare_layer(readings(12, 7, seed), 2, seed, 0.95) for seed in range(30)]
    values = np.array([each["cka"].value for each in found])
    assert abs(values.mean()) < 3 * values.std() / np.sqrt(len(values))
    # Of 95 % intervals one in forty lies above 0.
    for name in ("cka", "centred_difference"):
        assert sum((each[name].low or 0) > 0 for each in found) <= 6, name
    once = [compare_layer(readings(12, 1, seed), 2, seed, 0.95) for seed in range(3)]
    for one, more in zip(once, found, strict=False):
        assert (one["cka"].low is None) == (more["cka"].low is None)
    few = compare_layer(readings(3, 7, 0), 2, 0, 0.95)["cka"]
    assert few.value is None and few.reason and "texts" in few.reason


@given(st.lists(st.integers(0, 6), min_size=1, max_size=30), st.integers(0, 99))
def test_readings_of_a_text_are_exchanged_for_those_of_one_other(texts: list[int], seed: int) -> None:
    numbers = text_numbers(list(map(str, texts)))
    assert [texts[row] for row in range(len(texts))] == [texts[list(numbers).index(number)] for number in numbers]
    for others in exchanges(numbers, 3, seed):
        for text in set(texts):
            own = [row for row, each in enumerate(texts) if each == text]
            partners = {texts[others[row]] for row in own}
            assert len(partners) == 1 and (partners != {text} or len(set(texts)) == 1)
    alone = np.arange(len(texts))
    for one, other in zip(exchanges(alone, 3, seed), pairings(len(alone), 3, seed), strict=True):
        assert one.tolist() == other.tolist()


def test_the_table_of_ranks_counts_texts(tmp_path: Path) -> None:
    def table(*, again: bool) -> pl.DataFrame:
        path = ranked(tmp_path, 0, 1, count=12)
        once = pl.read_parquet(path)
        said = pl.concat([once] * 7).with_columns(utterance=pl.int_range(pl.len(), dtype=pl.Int64)) if again else once
        write_table(said, path, {"model": "m", "layer": 0})
        return lens_ranks_table.frame([path], StatisticsConfig())

    once, again = table(again=False), table(again=True)
    for end in ("top100_difference", "top100_difference_low", "top100_difference_high"):
        assert again[end][0] == pytest.approx(once[end][0])


def test_what_says_nothing_is_left_out() -> None:
    mute = Taken("mute", np.zeros((0, 24)), np.zeros((0, 24)), np.zeros(0))
    assert compare_layer([mute], 2, 0, 0.95)["cka"].reason
    told = utterances(8, 0.2)
    assert compare_layer([*told, mute], 2, 0, 0.95)["cka"] == compare_layer(told, 2, 0, 0.95)["cka"]


def test_vectors_are_nearest_to_the_embeddings_they_were_made_of() -> None:
    table = torch.from_numpy(drawn(5, 50, 16)).float()
    tokens = torch.arange(50).repeat(7)
    moved = 3 * table[tokens] + 0.1 * torch.from_numpy(drawn(6, 350, 16)).float() + 20
    assert nearest_tokens(moved, table) == tokens.tolist()
    found = shares([5, 4], [1, 0], [10, 10], ["a", "b"], 0.95)
    assert found["nearest"].value == pytest.approx(0.45) and found["nearest_difference"].value == pytest.approx(0.4)


@pytest.mark.parametrize("kind", sorted(SAVE))
def test_ranks_are_places_in_the_whole_row(kind: str, tmp_path: Path) -> None:
    lens = open_unembedding(SAVE[kind](tmp_path / kind), "cpu", torch.float32)
    states = torch.randn(70, lens.width, generator=torch.Generator().manual_seed(0))
    asked = torch.tensor([0, 5, 77])
    tokens, ranks = lens.ranked(states, 4, asked)
    assert torch.equal(tokens, lens.likeliest(states, 4))
    logits = lens.logits(states)
    for column, token in enumerate(asked.tolist()):
        above = (logits > logits[:, token, None]).sum(-1)
        # Scores before a cap or a scale, and after it, may round apart.
        assert (ranks[:, column] - 1 - above).abs().max() <= 1
    first = lens.ranked(states, 1, tokens[:, 0])[1].diagonal()
    assert (first <= 2).all()


def test_a_word_has_its_best_rank_among_the_states_of_its_own_clip() -> None:
    pieces = Pieces(byte_level_tokenizer())
    texts = ["the capital city", "a dog ran", "the capital city"]
    ranks = _Ranks(pieces, texts, LensConfig(shuffles=3))
    placed = torch.randint(1, 500, (6, len(ranks.asked)), generator=torch.Generator().manual_seed(1))
    owner = torch.tensor([0, 0, 1, 2, 2, 2])
    for part in (slice(0, 2), slice(2, 4), slice(4, 6)):
        ranks.add(owner[part], placed[part])
    columns, place = ranks.columns(""), {token: at for at, token in enumerate(ranks.asked.tolist())}
    for number, text in enumerate(texts):
        own = [place[token] for token in pieces.spoken(text)]
        assert columns["ranks"][number] == placed[owner == number][:, own].min(0).values.tolist()
        assert sorted(pieces.kept(pieces.spoken(text))) == sorted(pieces.reference(text).spaced.elements())
    # Utterances that say the same are no chance.
    words = len(pieces.spoken("a dog ran"))
    assert all(len(columns["chance_ranks"][number]) % words == 0 for number in (0, 2))


def ranked(folder: Path, layer: int, gain: int, count: int = 40) -> Path:
    rng = np.random.default_rng(layer)
    others = [rng.integers(1, 1000, 30).tolist() for _ in range(count)]
    own = [np.maximum(1, rng.integers(1, 1000, 8) // gain).tolist() for _ in range(count)]
    table = pl.DataFrame({"utterance": range(count), "said": range(count), "ranks": own, "chance_ranks": others})
    path = folder / f"{layer}.parquet"
    write_table(table, path, {"model": "m", "layer": layer})
    return path


def test_planted_ranks_are_found_and_chance_is_called_chance(tmp_path: Path) -> None:
    files = [ranked(tmp_path, 0, 1), ranked(tmp_path, 1, 20)]
    table = lens_ranks_table.frame(files, StatisticsConfig())
    assert table.schema == pl.Schema(TABLES["lens_ranks"].schema)
    chance, planted = table.rows(named=True)
    assert chance["top100_difference_low"] < 0 < chance["top100_difference_high"]
    assert planted["top100_difference_low"] > 0.5 and planted["median"] < planted["chance_median"]
    shown = lens_ranks_table.display(table, 0.95)
    assert {len(row) for row in shown.rows} == {len(shown.columns)} and len(shown.rows) == 2
    assert any("At chance" in remark and "m, plain lens: 0." in remark for remark in shown.remarks)


def test_the_table_and_the_figure_show_it(tmp_path: Path) -> None:
    from matplotlib import pyplot as plt

    layers = {
        "-1": compare_layer(utterances(12, 0.2), 2, 0, 0.95)
        | dict(shares([5] * 12, [1.0] * 12, [10] * 12, [f"{number}" for number in range(12)], 0.95)),
        "3": compare_layer(utterances(12, 1.0), 2, 0, 0.95),
    }
    found = {
        OF: {"model": "m"},
        "utterances": 12,
        "words": 70,
        "layers": {layer: {name: asdict(each) for name, each in own.items()} for layer, own in layers.items()},
        "examples": [{"text": "<b>said</b> [a](javascript:x)\n\n[b]: x", "nearest": "\x1b[31msaid\x9b\u2028"}],
    }
    path = tmp_path / "m.json"
    path.write_text(json.dumps(found))
    table = similarity_table.frame([path])
    assert table.schema == pl.Schema(TABLES["similarity"].schema) and table["layer"].to_list() == [-1, 3]
    shown = similarity_table.display(table, 0.95)
    assert {len(row) for row in shown.rows} == {len(shown.columns)}
    assert any("At chance" in remark and "layer 3" in remark for remark in shown.remarks)
    for text in (markdown(shown), latex(shown), table.write_csv()):
        assert "said" in text and not [each for each in text if unicodedata.category(each) == "Cc" and each != "\n"]
    assert not re.search(r"(?<!\\)\]\(|<b|^\[b\]", markdown(shown), re.MULTILINE)
    assert not re.search(r"^\[b\]", markdown(replace(shown, remarks=["x\n\n[b]: x"])), re.MULTILINE)
    figure = similarity_figure(table)
    figure.canvas.draw()
    plt.close(figure)


def test_only_what_hears_and_reads_can_be_compared() -> None:
    opened = {"models": ["whisper-tiny.en"], "similarity": {}}
    assert one_line(changed(mechanism=opened)).startswith("mechanism.similarity: no speech LLM is opened")
    study = Study(load_study(changed(mechanism={"models": ["mini-speech-llm"]}), ROOT))
    assert similarity.all_files(study) == []
