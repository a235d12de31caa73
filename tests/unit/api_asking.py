"""What the tests ask the stand-in provider, and a clock that runs as fast as it is asked to."""

import hashlib
import json
import threading
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from api_server import KEY, MODEL, StandIn, word_of

from cascade_equivalence.config.api import ApiConfig, ApiSpec
from cascade_equivalence.config.study import TaskSpec
from cascade_equivalence.models.api.answers import ask_questions
from cascade_equivalence.models.api.exchange import encode_wav
from cascade_equivalence.models.api.ledger import Ledger
from cascade_equivalence.models.api.limits import Clock
from cascade_equivalence.models.api.system import ApiSystem
from cascade_equivalence.models.question import Answer, Question
from cascade_equivalence.models.recording import Recording
from cascade_equivalence.tasks.prompts import build_messages
from cascade_equivalence.vocabulary import AUDIO_PLACEHOLDER

VARIABLE = "STAND_IN_KEY"
ENVIRON = {VARIABLE: KEY}
TASK = TaskSpec.model_validate(
    {
        "prompt": "Name the sentiment: negative or positive.\n\nReview: {speech}",
        "answer_prefix": "The sentiment is",
        "max_new_tokens": 6,
        "shots": [{"speech": "What a mess.", "answer": "negative"}],
    }
)
PRICES = {"input_text": 0.3, "input_audio": 1.0, "output": 2.5}
RATE = 16_000
PATIENCE = 60.0  # seconds, for a machine with much else to do


def tone(number: int) -> np.ndarray:
    """A twentieth of a second and a little more, another one for each number."""
    steps = np.arange(RATE // 20 + number)
    return (0.3 * np.sin(steps * (0.05 + 0.001 * number))).astype(np.float32)


def question(number: int) -> Question:
    """The task's question about a tone."""
    audio = tone(number)
    recording = Recording(hashlib.sha256(audio.tobytes()).hexdigest(), len(audio) / RATE, partial(tone, number))
    messages = build_messages(TASK, "Be brief.", AUDIO_PLACEHOLDER, ())
    return Question(tuple(messages), TASK.answer_prefix, {}, recording)


def clip(number: int) -> str:
    """Hash of the audio that the provider hears of a question."""
    return hashlib.sha256(encode_wav(tone(number))).hexdigest()


def spec(server: StandIn, provider: str = "gemini", **changes: Any) -> ApiSpec:
    """The stand-in as a system."""
    fields = {"kind": "api", "provider": provider, "model": MODEL, "base_url": server.url(provider)}
    return ApiSpec.model_validate({**fields, "key_env": VARIABLE, "concurrency": 1, "timeout": 20, **changes})


class FastClock:
    """A clock on which waiting takes no time, but time passes."""

    def __init__(self) -> None:
        self.time = 1_000_000.0
        self.mutex = threading.Lock()

    def now(self) -> float:
        return self.time

    def sleep(self, seconds: float) -> None:
        with self.mutex:
            self.time += seconds

    def clock(self) -> Clock:
        return Clock(self.now, self.sleep)


def ask(
    folder: Path,
    asked: ApiSpec,
    numbers: Sequence[int],
    config: ApiConfig | None = None,
    environ: dict[str, str] | None = None,
    clock: FastClock | None = None,
    node: str = "clean",
) -> list[Answer]:
    """Run one node."""
    return ask_questions(
        [question(number) for number in numbers],
        [f"item {number}" for number in numbers],
        ApiSystem("ears", asked, config or ApiConfig(), folder / "api"),
        TASK.max_new_tokens,
        folder / "answers" / f"{node}.jsonl",
        "ears",
        ENVIRON if environ is None else environ,
        (clock or FastClock()).clock(),
    )


def stored(folder: Path, node: str = "clean") -> list[dict[str, Any]]:
    """Values of a node's store, in the order of the file."""
    path = folder / "answers" / f"{node}.jsonl"
    return [json.loads(line)["value"] for line in path.read_bytes().splitlines()] if path.exists() else []


def letters(folder: Path, node: str = "clean") -> list[dict[str, Any]]:
    """What a node says of questions without an answer."""
    path = folder / "answers" / f"{node}.unanswered.jsonl"
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()] if path.exists() else []


def ledger(folder: Path, currency: str | None = None) -> Ledger:
    """The account of the study."""
    return Ledger(folder / "api" / "ledger.jsonl", ApiConfig().budget, currency)


def expected(number: int) -> str:
    """What the stand-in answers to a question."""
    return word_of(encode_wav(question(number).audio.decode()))  # type: ignore[union-attr]


def texts(found: list[Answer]) -> list[str]:
    """What was answered."""
    return [answer.text for answer in found]


def budget(**limits: float) -> ApiConfig:
    """A study with a budget."""
    return ApiConfig.model_validate({"budget": limits})


def wait_until(holds: Callable[[], bool]) -> None:
    """Wait for a condition; a test that waits for long fails."""
    end = time.monotonic() + PATIENCE
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.005)
