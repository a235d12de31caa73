"""States moved along a direction and kept from a concept at one layer: what is planted moves answers, nothing else."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch
from matplotlib import pyplot as plt
from study_config import ROOT, changed, one_line
from tiny_llm import byte_level_tokenizer, save_script

from cascade_equivalence.config.load import load_study
from cascade_equivalence.config.mechanism import SteeringConfig
from cascade_equivalence.config.statistics import StatisticsConfig
from cascade_equivalence.config.study import AnswerConfig
from cascade_equivalence.errors import StudyError
from cascade_equivalence.identity import write_table
from cascade_equivalence.mechanism import erasure
from cascade_equivalence.mechanism.eraser_files import write_erasers
from cascade_equivalence.mechanism.leace import Eraser
from cascade_equivalence.mechanism.steering import Shift, directions, drawn, first_directions, mean_states
from cascade_equivalence.models.question import ModelFiles, Question, SpeechFiles
from cascade_equivalence.models.recording import Recording
from cascade_equivalence.models.speech_llm.model import PLACEHOLDER, SpeechLLM
from cascade_equivalence.models.text_llm import TextLLM
from cascade_equivalence.nodes.steering import SCHEMA, changes, split_clips, steer, write_steered
from cascade_equivalence.report.figures.steering import steering_figure
from cascade_equivalence.report.steering_table import display, frame
from cascade_equivalence.speech.clips import Clip
from cascade_equivalence.stages import steering as stage
from cascade_equivalence.stages.study import Study
from cascade_equivalence.tasks.base import Item

PREFIX = "The topic is"
LABELS = {"Sports": "s", "Business": "b"}
CONFIG = AnswerConfig(dtype="float32", device="cpu", batch_size=4)
FILES = ModelFiles(Path(), "r", True, SpeechFiles(Path(), "e"))
ITEMS = 10
FITTED = {"i00", "i03"}


class Loud:
    """Hears any sound as three vectors; a loud one has a direction in it, a silent one has not."""

    def __init__(self, base: torch.Tensor, direction: torch.Tensor) -> None:
        self.base, self.direction = base, direction

    def embed(self, audios: Sequence[np.ndarray]) -> list[torch.Tensor]:
        return [(self.base + float(audio[0] > 0) * self.direction).repeat(3, 1) for audio in audios]


@pytest.fixture(scope="module")
def planted(tmp_path_factory: pytest.TempPathFactory) -> tuple[SpeechLLM, torch.Tensor]:
    """A model whose blocks do nothing, so that a label is read off one direction of the last token's state."""
    tokenizer = byte_level_tokenizer()
    ids = [tokenizer.encode(f" {answer}")[0] for answer in LABELS.values()]
    folder = save_script(tmp_path_factory.mktemp("llm"), tokenizer, [[5, ids[0]], [6, ids[1]]])
    text = TextLLM(folder, "cpu", torch.float32, chat=True)
    head = text.model.get_output_embeddings().weight.detach()
    direction = head[ids[0]] - head[ids[1]]
    base = text.model.get_input_embeddings().weight.detach()[7]
    return SpeechLLM(Loud(base, direction), text), direction


def sound(level: float) -> np.ndarray:
    return np.full(1600, level, dtype=np.float32)


def prompts(levels: Sequence[float]) -> list[Question]:
    turn = ({"role": "user", "content": f"Story {PLACEHOLDER}"},)
    clips = [Recording(f"{number} {level}", 0.1, partial(sound, level)) for number, level in enumerate(levels)]
    return [Question(turn, PREFIX, LABELS, clip) for clip in clips]


def items() -> list[Item]:
    return [Item(f"i{n:02}", "t", "Sports", f"g{n:02}") for n in range(ITEMS)]


def clips_of(count: int) -> list[Clip]:
    return [Clip(f"i{n:02}", "v", b"", 16_000, 0.1, "p", "t", f"h{n}") for n in range(count)]


def answered(
    model: SpeechLLM,
    found: dict[int, torch.Tensor],
    config: SteeringConfig,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    erasers: dict[str, dict[int, Path]] | None = None,
) -> pl.DataFrame:
    monkeypatch.setattr(erasure, "open_model", lambda files, config: (model.text, model))
    ways = changes(found, erasers or {}, config)
    outcomes = steer(ways, prompts([1.0] * ITEMS), FILES, CONFIG, folder / "store.jsonl", "tiny")
    write_steered("m", "ag_news", items(), clips_of(ITEMS), ways, outcomes, FITTED, folder / "rows.parquet")
    return pl.read_parquet(folder / "rows.parquet")


def odds(rows: pl.DataFrame, **place: object) -> list[float]:
    return rows.filter(**place).sort("id")["log_odds"].to_list()


def test_the_direction_is_from_silence_to_speech(planted: tuple[SpeechLLM, torch.Tensor]) -> None:
    model, direction = planted
    means = [mean_states(model, prompts([level] * 5), [0, 1], 2, None) for level in (1.0, 0.0)]
    found = directions(*means)
    for layer in (0, 1):
        torch.testing.assert_close(found[layer], direction, atol=1e-4, rtol=1e-4)
    nothing = directions(means[0], means[0])
    assert not nothing[0].any()


def test_an_answer_that_is_read_off_a_direction_follows_it_and_no_random_one(
    planted: tuple[SpeechLLM, torch.Tensor], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, direction = planted
    config = SteeringConfig(strengths=[-1, 0, 1], positions=["all"], draws=3)
    rows = answered(model, {1: direction}, config, tmp_path, monkeypatch)
    assert rows.schema == pl.Schema(SCHEMA)
    before = odds(rows, change="none")
    by_strength = [
        np.mean(odds(rows.filter(pl.col("draw").is_null()), change="direction", amount=s)) for s in config.strengths
    ]
    assert by_strength == sorted(by_strength) and by_strength[-1] - by_strength[0] > 1
    # Nothing added changes nothing, whatever the direction.
    for draw in [None, *range(3)]:
        own = rows.filter(change="direction", amount=0.0).filter(pl.col("draw").eq_missing(draw))
        assert own.sort("id")["log_odds"].to_list() == pytest.approx(before, abs=1e-5)
    write_table(rows, tmp_path / "t.parquet", {"model": "m", "task": "ag_news"})
    table = frame([tmp_path / "t.parquet"], StatisticsConfig())
    strongest = table.filter(amount=1).row(0, named=True)
    assert strongest["odds_change"] > 2 * abs(strongest["random_change"])
    assert strongest["draws"] == 3 and strongest["items"] == ITEMS
    shown = display(table, 0.95)
    assert len(shown.rows) == table.height and {len(row) for row in shown.rows} == {len(shown.columns)}
    erased = table.filter(amount=1).with_columns(change=pl.lit("acoustic"), whole=pl.lit(1), layer=pl.lit(0))
    figure = steering_figure(pl.concat([table, erased.cast(dict(table.schema))]))
    drawn_names = {text.get_text() for text in figure.legends[0].texts}
    assert drawn_names == {"Moved by \N{MINUS SIGN}1", "Moved by +1", "Acoustic erased"}
    figure.canvas.draw()
    plt.close(figure)


def test_at_the_sound_alone_a_model_that_moves_nothing_answers_as_before(
    planted: tuple[SpeechLLM, torch.Tensor], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Planted nothing: no block brings anything from the sound to the answer."""
    model, direction = planted
    rows = answered(model, {0: direction, 1: direction}, SteeringConfig(strengths=[1], draws=1), tmp_path, monkeypatch)
    for _, part in rows.group_by("change", "layer", "draw"):
        assert part.sort("id")["log_odds"].to_list() == pytest.approx(odds(rows, change="none"), abs=1e-5)


def test_erasers_by_rank_go_from_nothing_to_the_whole(
    planted: tuple[SpeechLLM, torch.Tensor], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, direction = planted
    unit = direction / direction.norm()
    others = torch.linalg.qr(
        torch.stack([unit, *torch.randn(2, len(unit), generator=torch.Generator().manual_seed(0))]).mT
    ).Q
    whole = Eraser(others, others.mT, torch.ones(len(unit)) * 0.1)
    random = Eraser(others[:, 1:], others[:, 1:].mT, None)
    write_erasers(tmp_path / "layer1.safetensors", {"linear": whole, "random0": random}, {})
    config = SteeringConfig(strengths=[0], positions=["all"], draws=1, ranks=[0, 1, 9])
    rows = answered(model, {}, config, tmp_path, monkeypatch, {"acoustic": {1: tmp_path / "layer1.safetensors"}})
    own = rows.filter(change="acoustic").filter(pl.col("draw").is_null())
    assert sorted(own["amount"].unique()) == [0, 1, 3] and set(own["whole"]) == {3}
    assert odds(own, amount=0) == pytest.approx(odds(rows, change="none"), abs=1e-5)
    assert odds(own, amount=1) != pytest.approx(odds(rows, change="none"), abs=1e-2)
    # The whole of it is the eraser that there was before, at this layer.
    variant = erasure.ErasureVariant("linear", "all", {1: whole}, "x")
    (outcomes,) = erasure.erased_outcomes(
        {"audio": prompts([1.0] * ITEMS)}, FILES, [variant], CONFIG, 1, tmp_path / "other", "tiny"
    ).values()
    expected = [outcome.scores["Sports"] - outcome.scores["Business"] for outcome in outcomes]
    assert odds(own, amount=3) == pytest.approx(expected, abs=1e-5)
    # Only erasers were fitted on items that are answered; without those there is another mean.
    assert set(rows.filter("seen")["id"]) == FITTED and set(rows.filter("seen")["change"]) == {"acoustic"}
    write_table(rows, tmp_path / "t.parquet", {"model": "m", "task": "ag_news"})
    table = frame([tmp_path / "t.parquet"], StatisticsConfig())
    erased = table.filter(change="acoustic", amount=3).row(0, named=True)
    moved = np.array(odds(own, amount=3)) - np.array(odds(rows, change="none"))
    names = sorted(own["id"].unique())
    unseen = [each for name, each in zip(names, moved, strict=True) if name not in FITTED]
    assert erased["seen_items"] == len(FITTED) and erased["unseen_odds_change"] == pytest.approx(np.mean(unseen))
    assert any("fitted on 20" in remark for remark in display(table, 0.95).remarks)
    assert table.filter(change="direction")["seen_items"].sum() == 0


def test_first_directions_are_an_eraser_again() -> None:
    generator = torch.Generator().manual_seed(1)
    left, states = torch.randn(6, 3, generator=generator), torch.randn(4, 6, generator=generator)
    whole = Eraser(left, torch.linalg.pinv(left), torch.randn(6, generator=generator))
    assert torch.equal(first_directions(whole, 0)(states), states)
    torch.testing.assert_close(first_directions(whole, 3)(states), whole(states))
    torch.testing.assert_close(first_directions(whole, 9)(states), whole(states))
    once = first_directions(whole, 2)
    torch.testing.assert_close(once(once(states)), once(states))


def test_random_directions_are_as_long_and_always_the_same() -> None:
    direction = torch.arange(1.0, 9.0)
    found = [drawn(direction, draw, 0) for draw in (0, 1, 0)]
    assert torch.equal(found[0], found[2]) and not torch.equal(found[0], found[1])
    assert all(each.norm() == pytest.approx(float(direction.norm()), rel=1e-5) for each in found)
    half = Shift(direction)(torch.zeros(2, 8, dtype=torch.bfloat16))
    assert half.dtype == torch.bfloat16 and Shift(direction).digest() != Shift(-direction).digest()


def test_no_text_is_both_fitted_on_and_asked_about() -> None:
    known = [Item(f"i{n:02}", "t", "a", f"g{n // 3}") for n in range(30)]
    config = SteeringConfig(per_task=20, fit=5)
    fitted, clips = split_clips(known, clips_of(30), "meld", config)
    groups = {item.id: item.group for item in known}
    assert len(fitted) == 5 and len(clips) == 20
    assert not {groups[clip.id] for clip in fitted} & {groups[clip.id] for clip in clips}
    assert split_clips(known[::-1], clips_of(30)[::-1], "meld", config) == (fitted, clips)


def test_what_cannot_work_is_told() -> None:
    def opened(**steering: object) -> str:
        section = {"models": ["mini-speech-llm"], "steering": {"tasks": ["sst2"]} | steering}
        return one_line(changed(mechanism=section, tasks=["sst2", "trivia_qa"], noise=None))

    assert opened(tasks=["trivia_qa"]).startswith("mechanism.steering.tasks: trivia_qa has free answers")
    assert opened(strengths=[1, 1]).startswith("mechanism.steering.strengths")
    assert opened(strengths=[11]).startswith("mechanism.steering.strengths")


def test_fewer_random_erasers_than_draws_are_told() -> None:
    def problems(erasure: dict[str, object], **steering: object) -> list[str]:
        section: dict[str, object] = {"models": ["mini-speech-llm"], "steering": {"tasks": ["sst2"]} | steering}
        section |= {"erasure": {"tasks": ["sst2"], "concepts": ["acoustic", "proxy", "permuted"]} | erasure}
        try:
            load_study(changed(mechanism=section, tasks=["sst2"], noise=None), ROOT)
        except StudyError as error:
            return [line.strip() for line in str(error).splitlines() if "mechanism." in line]
        return []

    assert not problems({}, concepts=["acoustic"], draws=20) and not problems({"controls": []}, draws=3)
    assert not problems({"controls": []}, concepts=["acoustic", "permuted"], draws=0)
    (line,) = problems({"seeds": 2}, concepts=["acoustic"])
    assert line.startswith("mechanism.steering.draws: 3")
    (line,) = problems({}, concepts=["acoustic", "permuted"])
    assert line.startswith("mechanism.steering.concepts: 'permuted'")
    for controls in ([], ["principal"]):
        (line,) = problems({"controls": controls}, concepts=["acoustic", "proxy"])
        assert line.startswith("mechanism.erasure.controls")


def test_over_how_many_jobs_answers_are_split_steers_nothing_again() -> None:
    raw = changed(
        mechanism={"models": ["mini-speech-llm"], "steering": {"tasks": ["sst2"]}}, tasks=["sst2"], noise=None
    )
    running = {"device": "cpu", "keep_heard": "never", "batch_size": 3, "shares": {"base-smollm2": 2}}
    studies = [Study(load_study(raw | {"answer": answer}, ROOT)) for answer in (raw["answer"], running)]
    first, second = (stage.params(study, "mini-speech-llm", "sst2") for study in studies)
    assert first == second
