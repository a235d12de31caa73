"""Each clip is heard once: what is kept is, bit for bit, what hearing it anew by itself gives."""

import tempfile
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from voice_adapters import save_base, save_text

from cascade_equivalence.config.study import AnswerConfig
from cascade_equivalence.models import answering
from cascade_equivalence.models.architecture import ARCHITECTURES
from cascade_equivalence.models.question import ModelFiles, Question, SpeechFiles, stretches
from cascade_equivalence.models.recording import Recording
from cascade_equivalence.models.speech_llm.heard import EarStore, Hearing, ear_store, hear
from cascade_equivalence.models.speech_llm.model import PLACEHOLDER, SpeechLLM, open_speech_llm
from cascade_equivalence.models.text_llm import TextLLM

torch.set_num_threads(1)
CONFIG = AnswerConfig(device="cpu", dtype="float32", batch_size=2)
LENGTHS = [0.3, 1.1, 0.31, 2.4, 0.05, 1.7]


def sound(seconds: float, seed: int) -> np.ndarray:
    draws = np.random.default_rng(seed)
    return draws.uniform(-0.3, 0.3, int(seconds * 16_000)).astype(np.float32)


def recording(number: int) -> Recording:
    return Recording(f"{number:064x}", LENGTHS[number], partial(sound, LENGTHS[number], number))


CLIPS = [recording(number) for number in range(len(LENGTHS))]


class Counting:
    """An ear that remembers how often it hears."""

    def __init__(self, ear: object) -> None:
        self.ear, self.calls = ear, 0

    def embed(self, audios: Sequence[np.ndarray]) -> list[torch.Tensor]:
        self.calls += len(audios)
        return self.ear.embed(audios)  # type: ignore[attr-defined, no-any-return]


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> ModelFiles:
    folder = tmp_path_factory.mktemp("models")
    text, speech = save_text(folder / "text"), save_base(folder / "speech")
    return ModelFiles(text, "t", True, SpeechFiles(speech, "s"))


@pytest.fixture(scope="module")
def model(files: ModelFiles) -> SpeechLLM:
    assert files.speech is not None
    text = TextLLM(files.folder, "cpu", torch.float32, chat=True)
    return open_speech_llm(files.speech, text, "cpu", torch.float32)


def counting(model: SpeechLLM) -> SpeechLLM:
    return SpeechLLM(Counting(model.encoder), model.text, model.leading_space)


def alone(model: SpeechLLM) -> list[torch.Tensor]:
    return [model.encoder.embed([clip.decode()])[0] for clip in CLIPS]


def same(found: Sequence[Hearing], wanted: Sequence[torch.Tensor]) -> bool:
    return all(torch.equal(one.vectors, other) for one, other in zip(found, wanted, strict=True))


@settings(deadline=None, max_examples=25)
@given(st.lists(st.lists(st.integers(0, len(CLIPS) - 1), min_size=1, max_size=8), min_size=1, max_size=4))
def test_whatever_is_asked_in_whatever_company_each_clip_is_heard_once(
    model: SpeechLLM, asked: list[list[int]]
) -> None:
    wanted, counted = alone(model), counting(model)
    with tempfile.TemporaryDirectory() as folder:
        for places in asked:
            # Each in a process of its own, so to say.
            found = hear(counted, [CLIPS[place] for place in places], EarStore(Path(folder)))
            assert same(found, [wanted[place] for place in places])
            assert same(hear(model, [CLIPS[place] for place in places], None), [wanted[place] for place in places])
    assert counted.encoder.calls == len({place for places in asked for place in places})  # type: ignore[attr-defined]


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 2**20), st.booleans())
def test_a_damaged_file_is_heard_again_and_never_believed(model: SpeechLLM, where: int, cut: bool) -> None:
    wanted = alone(model)
    with tempfile.TemporaryDirectory() as folder:
        hear(model, CLIPS, EarStore(Path(folder)))
        (path,) = Path(folder).iterdir()
        content = bytearray(path.read_bytes())
        if cut:
            content = content[: where % len(content)]
        else:
            content[where % len(content)] ^= 1
        path.write_bytes(content)
        assert same(hear(model, CLIPS, EarStore(Path(folder))), wanted)
        # And what is heard then is kept.
        counted = counting(model)
        hear(counted, CLIPS, EarStore(Path(folder)))
        assert not counted.encoder.calls  # type: ignore[attr-defined]


def test_two_that_hear_at_once_read_each_other(model: SpeechLLM, tmp_path: Path) -> None:
    one, other, counted = EarStore(tmp_path), EarStore(tmp_path), counting(model)
    hear(counted, CLIPS[:3], one)
    hear(counted, CLIPS[2:], other)
    assert same(hear(counted, CLIPS, one), alone(model))
    assert counted.encoder.calls == len(CLIPS)  # type: ignore[attr-defined]
    # A part that a killed process has left is not looked at.
    (tmp_path / ".0.part").write_bytes(b"half")
    assert same(hear(counted, CLIPS, EarStore(tmp_path)), alone(model))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float32])
def test_every_arithmetic_and_no_vectors_at_all_come_back_as_they_were(dtype: torch.dtype, tmp_path: Path) -> None:
    generator = torch.Generator().manual_seed(0)
    heard = {f"{n}": Hearing(torch.randn(n, 5, generator=generator).to(dtype), n / 8) for n in (0, 1, 7)}
    EarStore(tmp_path).put(heard)
    found = EarStore(tmp_path).get(heard)
    assert found.keys() == heard.keys()
    for name, each in found.items():
        assert each.vectors.dtype == dtype and torch.equal(each.vectors, heard[name].vectors)
        assert each.seconds == heard[name].seconds


def test_other_weights_and_other_arithmetic_have_other_folders(
    model: SpeechLLM, files: ModelFiles, tmp_path: Path
) -> None:
    assert files.speech is not None
    others = [
        replace(files, revision="u"),
        replace(files, speech=replace(files.speech, revision="v")),
        replace(files, speech=replace(files.speech, audio_revision="w")),
    ]
    stores = [ear_store(tmp_path, model, each, CONFIG) for each in (files, *others)]
    stores.append(ear_store(tmp_path, model, files, CONFIG.model_copy(update={"dtype": "bfloat16"})))
    assert len({store.folder for store in stores if store is not None}) == len(stores)
    # The settings of an answer are nothing to the ear.
    settled = CONFIG.model_copy(update={"batch_size": 7, "mode": "forced_choice", "keep_heard": "always"})
    again = ear_store(tmp_path, model, files, settled)
    assert again is not None and stores[0] is not None and again.folder == stores[0].folder


def test_an_ear_of_a_plugin_whose_code_changes_has_another_folder(
    model: SpeechLLM, files: ModelFiles, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plugin = tmp_path / "ears.py"
    stores, keys = [ear_store(tmp_path, model, files, CONFIG)], [files.identity(CONFIG)]
    monkeypatch.setattr(ARCHITECTURES, "_files", {"ultravox": (plugin,)})
    for code in ("X = 1\n", "X = 2\n"):
        plugin.write_text(code)
        stores.append(ear_store(tmp_path, model, files, CONFIG))
        # And its answers have other keys.
        assert files.identity(CONFIG) not in keys
        keys.append(files.identity(CONFIG))
    assert len({store.folder for store in stores if store is not None}) == len(stores)


def test_wide_models_keep_nothing_unless_they_are_told_to(
    model: SpeechLLM, files: ModelFiles, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def kept(how: str) -> bool:
        return ear_store(tmp_path, model, files, CONFIG.model_copy(update={"keep_heard": how})) is not None

    assert kept("auto") and kept("always") and not kept("never")
    monkeypatch.setattr("cascade_equivalence.config.study.WIDEST_KEPT", 63)
    assert not kept("auto") and kept("always")
    assert ear_store(None, model, files, CONFIG) is None


def test_answers_are_the_same_and_another_prompt_hears_nothing(
    model: SpeechLLM, files: ModelFiles, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def ask(said: str, kept: Path | None, opened: SpeechLLM) -> list[str]:
        monkeypatch.setattr(answering, "_load", lambda *_: (opened.text, opened))
        turn = {"role": "user", "content": f"{said}\n{PLACEHOLDER}"}
        questions = [Question((turn,), "", {}, clip) for clip in CLIPS]
        store = tmp_path / f"{said} {kept is not None}.jsonl"
        return [one.text for one in answering.answer_questions(questions, files, CONFIG, 6, store, "tiny", kept=kept)]

    first, second = counting(model), counting(model)
    assert ask("What is it?", tmp_path / "ears", first) == ask("What is it?", None, model)
    assert ask("And who?", tmp_path / "ears", second) == ask("And who?", None, model)
    assert first.encoder.calls == len(CLIPS) and not second.encoder.calls  # type: ignore[attr-defined]


@settings(max_examples=60)
@given(st.lists(st.floats(0.01, 3000), max_size=600), st.integers(1, 300), st.floats(1, 4000))
def test_stretches_hold_all_in_order_and_no_more_than_fits(lengths: list[float], most: int, longest: float) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("cascade_equivalence.models.question.HEARD_AT_ONCE", most)
        patch.setattr("cascade_equivalence.models.question.SECONDS_AT_ONCE", longest)
        questions = [Question((), "", {}, Recording("", each, lambda: np.zeros(1))) for each in lengths]
        found = list(stretches(questions))
    assert [place for stretch in found for place in range(len(lengths))[stretch]] == list(range(len(lengths)))
    for stretch in found:
        own = lengths[stretch]
        assert 0 < len(own) <= most and (len(own) == 1 or sum(own) <= longest * (1 + 1e-9))
