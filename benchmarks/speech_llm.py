"""Times the small speech LLM in batches against asking it clip by clip, on the same clips, weights and machine.

    python benchmarks/speech_llm.py --clips 32 --repeats 3

Baseline: one clip at a time, its whole prompt read each time, as a loop over a speech LLM does. Ours: sound encoded in
batches, prompts answered in batches behind a shared prefix. Both in the arithmetic that the demo takes, or in the one
asked for. Arms take turns chunk by chunk. A flip is an answer that differs from the loop's.
"""

import argparse
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from goal import Goal, write_goals
from transcribe_and_answer import TASKS, clips
from turns import CHUNK, Arm, processor, ratio, ratios, take_turns

from cascade_equivalence.__main__ import read_study
from cascade_equivalence.config.study import AnswerConfig
from cascade_equivalence.models.answering import open_model
from cascade_equivalence.models.sources.resolve import resolve_model
from cascade_equivalence.models.sources.wheels import default_cache
from cascade_equivalence.models.speech_llm.model import SpeechLLM
from cascade_equivalence.nodes.answers import model_files
from cascade_equivalence.resources import REPOSITORY
from cascade_equivalence.stages.study import Study
from cascade_equivalence.tasks.prompts import build_messages
from cascade_equivalence.vocabulary import AUDIO_PLACEHOLDER

MODEL = "mini-speech-llm"
AIMS = {"ag_news": 5, "sst2": 3}
"""Times faster than the loop that are aimed at: behind a long prompt, which batches share, and behind a short one."""


def open_mini(study: Study, dtype: Literal["auto", "bfloat16", "float32"]) -> SpeechLLM:
    """The small speech LLM, resolved into the shared cache."""
    names = [study.text_model(MODEL), *study.hearing_models(MODEL)]
    folder = default_cache() / "models"
    for name in names:
        resolve_model(name, study.model(name), folder / name)
    manifests = [folder / name / "manifest.json" for name in names]
    _, model = open_model(model_files(manifests, study.model(names[0]).chat), AnswerConfig(device="cpu", dtype=dtype))
    assert model is not None
    return model


def answering(model: SpeechLLM, study: Study, task: str, batch: int) -> Callable[[Sequence[np.ndarray]], list[str]]:
    """A function that asks a task about waveforms, ``batch`` at a time; one at a time shares nothing."""
    spec = study.task(task)
    prompt = model.text.render(build_messages(spec, "", AUDIO_PLACEHOLDER, ()), spec.answer_prefix)
    prefix = prompt.split(AUDIO_PLACEHOLDER)[0].removesuffix(" ")
    tokens = model.text.tokenize(prefix) if batch > 1 else []
    shared = model.text.prefix_cache(tokens)

    def run(chunk: Sequence[np.ndarray]) -> list[str]:
        found = []
        for start in range(0, len(chunk), batch):
            some = chunk[start : start + batch]
            rows, heard = model.rows([prompt] * len(some), some)
            answers = model.text.generate(rows, spec.max_new_tokens, len(tokens), shared, heard)
            found += [answer.text.strip() for answer in answers]
        return found

    return run


def main() -> None:
    """Measure, print, and write the numbers as JSON where asked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clips", type=int, default=32)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--dtype", choices=["auto", "bfloat16", "float32"], default="auto")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--goals", type=Path, help="write what is aimed at beside what was found, for goals.py")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    study = read_study(REPOSITORY / "config" / "demo.yaml")
    model = open_mini(study, arguments.dtype)
    audio, _, tasks = clips(study, arguments.clips)
    report: dict[str, Any] = {}
    goals: list[Goal] = []
    print(f"{processor()}; {arguments.threads} threads, {arguments.repeats} repeats, {arguments.dtype}")
    for task in TASKS:
        own = [sound for sound, of in zip(audio, tasks, strict=True) if of == task]
        loop = Arm("loop: one clip at a time", answering(model, study, task, 1))
        batched = Arm(f"ours: batches of {CHUNK}", answering(model, study, task, CHUNK))
        take_turns([loop, batched], own, arguments.repeats)
        flips = sum(one != other for one, other in zip(loop.results, batched.results, strict=True))
        report[task] = {
            "clips": len(own),
            "loop_seconds_a_clip": loop.per_item(len(own)),
            "batched_seconds_a_clip": batched.per_item(len(own)),
            "ratio": ratio(loop, batched),
            "flips": flips,
        }
        found = report[task]
        print(
            f"{task}: {found['clips']} clips, {found['loop_seconds_a_clip']:.3f} s a clip alone, "
            f"{found['batched_seconds_a_clip']:.3f} s in batches: {found['ratio']} times faster, {flips} flips"
        )
        goals.append(
            Goal(
                f"speech LLM, {task}, {arguments.dtype}",
                loop.name,
                AIMS[task],
                ratios(loop, batched),
                equal=f"{flips} of {len(own)} answers differ",
            )
        )
    write_goals(arguments.goals, goals)
    if arguments.json:
        arguments.json.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
