"""Erasing while a model answers: at the layers and positions asked for, on every step, and nothing else changes."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from tiny_llm import Parrot, byte_level_tokenizer, save_llama

from cascade_equivalence.config.study import AnswerConfig
from cascade_equivalence.mechanism import erasure
from cascade_equivalence.mechanism.eraser_files import eraser_hash
from cascade_equivalence.mechanism.erasure import ErasureVariant, Outcome, erased_outcomes, erasing
from cascade_equivalence.mechanism.hooks import watched
from cascade_equivalence.mechanism.leace import Eraser
from cascade_equivalence.models.question import ModelFiles, Question
from cascade_equivalence.models.recording import Recording
from cascade_equivalence.models.scoring import score
from cascade_equivalence.models.speech_llm.model import PLACEHOLDER, SpeechLLM
from cascade_equivalence.models.text_llm import TextLLM

TEXTS = ["The goalkeeper saved two penalties.", "A dog ran over the long bridge and home.", "Paris.", "A cup final."]
LABELS = {"Sports": "sports", "Business": "business or technology"}
CONFIG = AnswerConfig(dtype="float32", device="cpu", batch_size=2)
SHOT = ({"role": "user", "content": "Story: A dog ran over the long bridge."}, {"role": "assistant", "content": "no"})


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> SpeechLLM:
    text = TextLLM(save_llama(tmp_path_factory.mktemp("llm"), byte_level_tokenizer()), "cpu", torch.float32, chat=True)
    return SpeechLLM(Parrot(text, TEXTS), text)


def question(content: str, audio: Recording | None = None) -> Question:
    return Question((*SHOT, {"role": "user", "content": f"Story: {content}"}), "The topic is", LABELS, audio)


def arms() -> dict[str, list[Question]]:
    clips = [Recording(str(n), 0.1, partial(np.full, 1600, n, dtype=np.float32)) for n in range(len(TEXTS))]
    return {"audio": [question(PLACEHOLDER, clip) for clip in clips], "text": [question(text) for text in TEXTS]}


def eraser(rank: int, width: int = 64, seed: int = 0) -> Eraser:
    basis = torch.linalg.qr(torch.randn(width, rank, generator=torch.Generator().manual_seed(seed))).Q
    return Eraser(basis, basis.T)


def variant(name: str, rank: int, positions: str = "all") -> ErasureVariant:
    erasers = {layer: eraser(rank, seed=layer) for layer in (0, 1)}
    return ErasureVariant(name, positions, erasers, eraser_hash(erasers))


NOTHING = ErasureVariant("none", "all", {})


def run(
    model: SpeechLLM,
    monkeypatch: pytest.MonkeyPatch,
    store: Path,
    variants: Sequence[ErasureVariant],
    batch_size: int = 2,
) -> dict[tuple[str, str, str], list[Outcome]]:
    monkeypatch.setattr(erasure, "open_model", lambda files, config: (model.text, model))
    config = CONFIG.model_copy(update={"batch_size": batch_size})
    return erased_outcomes(arms(), ModelFiles(Path(), "r", True), variants, config, 6, store, "tiny")


def plain(outcomes: Mapping[tuple[str, str, str], list[Outcome]], *place: str) -> list[Outcome]:
    return [replace(outcome, seconds=0.0) for outcome in outcomes[place]]  # type: ignore[index]


def assert_same(one: Sequence[Outcome], other: Sequence[Outcome]) -> None:
    for left, right in zip(one, other, strict=True):
        assert left.text == right.text
        assert left.scores == pytest.approx(right.scores, abs=1e-4)
        assert left.kl == pytest.approx(right.kl, abs=1e-4)


def test_an_eraser_of_nothing_changes_nothing(
    model: SpeechLLM, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = run(model, monkeypatch, tmp_path / "s", [NOTHING, variant("empty", 0)])
    for arm in ("audio", "text"):
        assert_same(plain(found, "none", "all", arm), plain(found, "empty", "all", arm))
        assert all(outcome.kl < 1e-6 for outcome in found["empty", "all", arm])


def test_the_more_is_erased_the_further_the_answer(
    model: SpeechLLM, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = run(model, monkeypatch, tmp_path / "s", [variant("few", 1), variant("many", 60)])
    few, many = (np.mean([outcome.kl for outcome in found[name, "all", "audio"]]) for name in ("few", "many"))
    assert 0 < few < many


def test_company_and_batches_change_nothing(model: SpeechLLM, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    some = [variant("w", 8), variant("w", 8, "audio")]
    alone = run(model, monkeypatch, tmp_path / "one", some, batch_size=1)
    together = run(model, monkeypatch, tmp_path / "all", some, batch_size=4)
    assert set(alone) == {("w", "all", "audio"), ("w", "all", "text"), ("w", "audio", "audio")}
    for place in alone:
        assert_same(plain(alone, *place), plain(together, *place))


def test_draws_are_heard_and_not_read(model: SpeechLLM, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn = replace(variant("random0", 8), heard_only=True)
    found = run(model, monkeypatch, tmp_path / "s", [NOTHING, drawn])
    assert {place for place in found if place[0] == "random0"} == {("random0", "all", "audio")}


def test_other_erasers_are_asked_anew_and_more_of_them_ask_only_their_own(
    model: SpeechLLM, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stored() -> int:
        return len((tmp_path / "s").read_bytes().splitlines())

    run(model, monkeypatch, tmp_path / "s", [variant("w", 8)])
    before = stored()
    run(model, monkeypatch, tmp_path / "s", [variant("w", 8), variant("v", 8)])
    assert stored() == 2 * before
    run(model, monkeypatch, tmp_path / "s", [variant("w", 9), variant("v", 8)])
    assert stored() == 3 * before


def test_a_shared_prefix_is_erased_too(model: SpeechLLM, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = run(model, monkeypatch, tmp_path / "p", [variant("w", 8)])
    monkeypatch.setattr(TextLLM, "usable_prefix", lambda *_: 0)
    assert_same(
        plain(whole, "w", "all", "audio"),
        plain(run(model, monkeypatch, tmp_path / "q", [variant("w", 8)]), "w", "all", "audio"),
    )


def test_every_step_is_erased(model: SpeechLLM) -> None:
    """What leaves an erased block has nothing along the erased directions, in the prompt and in what is generated."""
    text, own = model.text, variant("w", 5)
    rows = [text.tokenize(text.render(question(said).messages)) for said in TEXTS[:2]]
    steps: list[float] = []

    def receive(layer: int, states: torch.Tensor) -> None:
        again = own.erasers[layer](states)
        steps.append(float((again - states).abs().max() / states.abs().max()))

    with erasing(model, own), watched(model.blocks, [0, 1], receive):
        text.generate(rows, 4)
    assert len(steps) > 2 and max(steps) < 1e-5
    assert not any(block._forward_hooks for block in model.blocks)


def test_audio_positions_alone_are_erased(model: SpeechLLM) -> None:
    text = model.text
    asked = arms()["audio"][0]
    rows, heard = model.rows([text.render(asked.messages)], [asked.audio.decode()])  # type: ignore[union-attr]
    own = ErasureVariant("w", "audio", {0: eraser(5)})
    kept: dict[str, torch.Tensor] = {}
    for name, context in (("plain", NOTHING), ("erased", own)):
        with (
            erasing(model, context),
            watched(model.blocks, [0], lambda _, states, name=name: kept.update({name: states})),
        ):  # type: ignore[misc]
            score(text, rows, [[]], heard=heard)
    changed = (kept["plain"] - kept["erased"]).abs().amax(-1)[0] > 1e-6
    assert changed.nonzero()[:, 0].tolist() == model.audio_positions(rows[0])


def test_divergence_is_that_of_the_first_token(
    model: SpeechLLM, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from scipy.special import rel_entr

    own = variant("w", 8)
    found = run(model, monkeypatch, tmp_path / "s", [own])["w", "all", "text"]
    for said, outcome in zip(TEXTS, found, strict=True):
        asked = question(said)
        row = model.text.tokenize(model.text.render(asked.messages, asked.answer_prefix))
        before = score(model.text, [row], [[]]).first[0].exp().double().numpy()
        with erasing(model, own):
            after = score(model.text, [row], [[]]).first[0].exp().double().numpy()
        assert outcome.kl == pytest.approx(rel_entr(before, after).sum(), abs=1e-4)


def test_a_stopped_run_goes_on(model: SpeechLLM, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    some = [NOTHING, variant("w", 8)]
    whole = run(model, monkeypatch, tmp_path / "whole", some)
    lines = (tmp_path / "whole").read_bytes().splitlines(keepends=True)
    (tmp_path / "part").write_bytes(b"".join(lines[:3]) + lines[3][:10])
    asked = 0
    generate = TextLLM.generate

    def counted(self: TextLLM, rows: list[list[int]], *rest: object, **more: object) -> object:
        nonlocal asked
        asked += len(rows)
        return generate(self, rows, *rest, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(TextLLM, "generate", counted)
    again = run(model, monkeypatch, tmp_path / "part", some)
    # At most the batch that was torn is asked anew.
    assert asked <= len(lines) - 2
    for place in whole:
        assert_same(plain(whole, *place), plain(again, *place))
    asked = 0
    run(model, monkeypatch, tmp_path / "part", some)
    assert asked == 0
