"""Times our transcribe + answer path against the loop a user would write, on the same clips, weights and machine.

    python benchmarks/transcribe_and_answer.py --clips 32 --repeats 3

Baselines: ``whisper.transcribe`` a clip at a time (openai-whisper, float32), then ``generate`` a prompt at a time
(transformers, float32); and what takes batches: the transformers library, ``whisper.decode``, faster-whisper's
pipeline. Ours: the engines and the answer path of the library, with whole windows and with those of the clip, in
float32 and in the fastest arithmetic. Arms take turns chunk by chunk, so that a machine whose speed drifts slows all of
them alike. Loading is not timed. A ratio is the lowest / median / highest of the repeats.
"""

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, cast

import numpy as np
from goal import Goal, write_goals
from turns import CHUNK, Arm, fastest, peers, processor, ratio, ratios, share_equal, show, take_turns, together
from whisper_peers import batched_peers

from cascade_equivalence.config.speech import HibariVoice
from cascade_equivalence.config.study import TranscribeConfig
from cascade_equivalence.models.sources.resolve import resolve_model
from cascade_equivalence.models.sources.wheels import default_cache
from cascade_equivalence.resources import REPOSITORY, RESOURCES
from cascade_equivalence.speech.clips import decode
from cascade_equivalence.speech.synthesize import Utterance, synthesize_clips
from cascade_equivalence.stages.study import Study
from cascade_equivalence.tasks.prompts import build_messages
from cascade_equivalence.tasks.registry import get_task

TASKS = ("ag_news", "sst2")
LONGEST = 112
"""Most tokens of a transcript, as in the demo."""
OURS: Sequence[tuple[Any, Any, Any]] = [
    ("openai-whisper", "whole", "float32"),
    ("faster-whisper", "whole", "int8"),
    ("hybrid", "whole", "float32"),
    ("hybrid", "whole", "auto"),
    ("openai-whisper", "clip", "float32"),
    ("faster-whisper", "clip", "int8"),
    ("hybrid", "clip", "float32"),
    ("hybrid", "clip", "auto"),
]
"""Engine, window and arithmetic of our arms; the demo's is the last but one."""


def clips(study: Study, count: int) -> tuple[list[np.ndarray], list[str], list[str]]:
    """Waveforms, texts and tasks of the demo's items in the neural voice, the tasks in turn."""
    items = [get_task(task).load_demo(RESOURCES / "items") for task in TASKS]
    pairs = [(task, item) for row in zip(*items, strict=False) for task, item in zip(TASKS, row, strict=True)][:count]
    with TemporaryDirectory() as store:
        spoken = synthesize_clips(
            [Utterance(item.id, item.text) for _, item in pairs],
            "heart",
            HibariVoice(provider="hibari"),
            30,
            Path(store),
            1,
        )
        # Its sound is read where it was spoken to, while that is there.
        audio = [decode(clip) for clip in spoken]
    return audio, [item.text for _, item in pairs], [task for task, _ in pairs]


def transcription_arms(folder: Path, threads: int) -> list[Arm]:
    """The loop with and without timestamps, faster-whisper's loop, and our three engines."""
    from faster_whisper import WhisperModel

    from cascade_equivalence.models.openai_whisper import load_openai_whisper
    from cascade_equivalence.models.transcription.engines import open_engine

    whisper = load_openai_whisper(folder)
    faster = WhisperModel(str(folder), device="cpu", compute_type="int8", cpu_threads=threads)
    options = {"language": "en", "temperature": 0.0}

    def loop(chunk: Sequence[np.ndarray], **more: Any) -> list[str]:
        return [whisper.transcribe(audio, fp16=False, **options, **more)["text"].strip() for audio in chunk]

    def faster_loop(chunk: Sequence[np.ndarray]) -> list[str]:
        found = [faster.transcribe(audio, beam_size=1, without_timestamps=True, **options)[0] for audio in chunk]
        return ["".join(segment.text for segment in segments).strip() for segments in found]

    arms = [
        Arm("loop: whisper.transcribe", loop),
        Arm("loop: whisper.transcribe, no timestamps", lambda chunk: loop(chunk, without_timestamps=True)),
        Arm("loop: faster-whisper int8", faster_loop),
    ]
    arms += batched_peers(whisper, folder, threads, LONGEST)
    for engine, window, dtype in OURS:
        config = TranscribeConfig(
            engine=engine, window=window, dtype=dtype, device="cpu", batch_size=CHUNK, max_new_tokens=LONGEST
        )
        arms.append(Arm(f"ours: {engine}, {window} window, {dtype}", open_engine(folder, config).transcribe))
    return arms


def answer_arms(study: Study, folder: Path, chat: bool) -> list[Arm]:
    """``generate`` a prompt at a time and in padded batches, our path in float32 and in the fastest arithmetic."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    from cascade_equivalence.models.device import resolve_dtype
    from cascade_equivalence.models.text_llm import TextLLM

    specs = {task: study.task(task) for task in TASKS}
    model: Any = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    tokenizer, beside = (cast(Any, AutoTokenizer.from_pretrained(folder)) for _ in range(2))
    beside.pad_token = beside.pad_token or beside.eos_token
    ours = {
        name: TextLLM(folder, "cpu", dtype, chat)
        for name, dtype in (("float32", torch.float32), ("auto", resolve_dtype("auto", "cpu")))
    }
    renderer = ours["float32"]

    def prompt(question: tuple[str, str]) -> tuple[str, int]:
        spec = specs[question[0]]
        messages = build_messages(spec, study.config.answer.system_prompt, question[1], ())
        return renderer.render(messages, spec.answer_prefix), spec.max_new_tokens

    def loop(chunk: Sequence[tuple[str, str]]) -> list[str]:
        answers = []
        for question in chunk:
            text, limit = prompt(question)
            inputs = tokenizer(text, return_tensors="pt", add_special_tokens=False)
            output = model.generate(**inputs, do_sample=False, max_new_tokens=limit)
            new = tokenizer.decode(output[0, inputs["input_ids"].shape[1] :], skip_special_tokens=True)
            answers.append(new.strip().split("\n")[0])
        return answers

    def padded(chunk: Sequence[tuple[str, str]]) -> list[str]:
        asked = [prompt(question) for question in chunk]
        inputs = beside(
            [text for text, _ in asked],
            return_tensors="pt",
            padding=True,
            padding_side="left",
            add_special_tokens=False,
        )
        output = model.generate(
            **inputs, do_sample=False, max_new_tokens=max(limit for _, limit in asked), pad_token_id=beside.pad_token_id
        )
        new = beside.batch_decode(output[:, inputs["input_ids"].shape[1] :], skip_special_tokens=True)
        return [text.strip().split("\n")[0] for text in new]

    def batched(llm: TextLLM, chunk: Sequence[tuple[str, str]]) -> list[str]:
        answers: dict[tuple[str, str], str] = {}
        for task in TASKS:
            questions = [question for question in chunk if question[0] == task]
            rows = [llm.tokenize(prompt(question)[0]) for question in questions]
            prefix = llm.usable_prefix(rows, specs[task].max_new_tokens)
            shared = llm.prefix_cache(rows[0][:prefix])
            found = llm.generate(rows, specs[task].max_new_tokens, prefix, shared)
            answers |= zip(questions, [answer.text.strip() for answer in found], strict=True)
        return [answers[question] for question in chunk]

    arms = [Arm("loop: generate, float32", loop), Arm("batch: transformers generate, float32", padded)]
    for name, llm in ours.items():
        arms.append(Arm(f"ours: batched, {name}", lambda chunk, llm=llm: batched(llm, chunk)))  # type: ignore[misc]
    return arms


def rows(arms: Sequence[Arm], items: int, texts: Sequence[str] | None) -> list[dict[str, Any]]:
    """One row an arm: seconds an item, ratios to the loop and to the best peer in batches, equality, word errors."""
    from cascade_equivalence.models.transcription.words import word_errors

    loop = arms[0]
    best = fastest(others) if (others := peers(arms)) else None
    found = []
    for arm in arms:
        row: dict[str, Any] = {"arm": arm.name, "seconds": arm.per_item(items), "x loop": ratio(loop, arm)}
        if best is not None:
            row[f"x {best.name}"] = ratio(best, arm)
        row["equal to the loop"] = share_equal(arm.results, loop.results)
        if texts is not None:
            counts = word_errors(texts, arm.results)
            row["WER"] = sum(errors for _, errors in counts) / sum(words for words, _ in counts)
        found.append(row)
    return found


def goals_of(hearing: Sequence[Arm], heard: Sequence[dict[str, Any]], ours: Arm, saying: Sequence[Arm]) -> list[Goal]:
    """What is aimed at: five times the loop, three times the best that takes batches."""
    errors = {row["arm"]: row["WER"] for row in heard}
    most = errors[hearing[0].name]
    quick = fastest([arm for arm in hearing if arm.name.startswith("ours") and errors[arm.name] <= most])
    found = []
    for arm in [ours] if quick is ours else [ours, quick]:
        words = f"word errors {errors[arm.name]:.3f}, loop {most:.3f}"
        for against, aim in ((hearing[0], 5), (fastest(peers(hearing)), 3)):
            found.append(Goal(f"recogniser ({arm.name})", against.name, aim, ratios(against, arm), equal=words))
        said = next(arm for arm in saying if arm.name.startswith("ours"))
        words = f"{100 * share_equal(said.results, saying[0].results):.0f} % of the answers equal"
        others = (hearing[0], saying[0], 5), (fastest(peers(hearing)), fastest([saying[0], *peers(saying)]), 3)
        for hears, says, aim in others:
            pace = ratios(together("theirs", hears, says), together("ours", arm, said))
            what = f"recogniser and text LLM ({arm.name}; {said.name})"
            found.append(Goal(what, f"{hears.name}; {says.name}", aim, pace, equal=words))
    return found


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clips", type=int, default=32, help="clips, up to 96")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--asr", default="whisper-tiny.en")
    parser.add_argument("--llm", default="smollm2-135m-instruct")
    parser.add_argument("--output", type=Path, help="write the rows as JSON, too")
    parser.add_argument("--goals", type=Path, help="write what is aimed at beside what was found, for goals.py")
    arguments = parser.parse_args()
    import torch

    from cascade_equivalence.__main__ import read_study

    torch.set_num_threads(arguments.threads)
    study = read_study(REPOSITORY / "config" / "demo.yaml")
    folders = {
        name: resolve_model(name, study.model(name), default_cache() / "models" / name)
        for name in (arguments.asr, arguments.llm)
    }
    audio, texts, tasks = clips(study, arguments.clips)
    print(f"{processor()}; {arguments.threads} threads, {arguments.repeats} repeats")
    print(f"{len(audio)} clips, {np.mean([len(clip) for clip in audio]) / 16000:.1f} s on average")

    hearing = transcription_arms(folders[arguments.asr], arguments.threads)
    for arm in hearing:
        arm.run(audio[:1])  # the first call of each loads code and memory
    take_turns(hearing, audio, arguments.repeats)
    heard = rows(hearing, len(audio), texts)
    show(f"Transcribing with {arguments.asr}, seconds a clip", heard)

    ours = next(arm for arm in hearing if arm.name == "ours: hybrid, clip window, float32")
    questions = list(zip(tasks, ours.results, strict=True))
    saying = answer_arms(study, folders[arguments.llm], study.model(arguments.llm).chat)
    for arm in saying:
        arm.run(questions[:2])
    take_turns(saying, questions, arguments.repeats)
    said = rows(saying, len(questions), None)
    show(f"Answering with {arguments.llm}, seconds a prompt", said)

    goals = goals_of(hearing, heard, ours, saying)
    for goal in goals:
        print(f"{goal.what} against {goal.against}: {' / '.join(f'{each:.2f}' for each in sorted(goal.found))}")
    if arguments.output:
        settings = {
            "processor": processor(),
            "clips": len(audio),
            "repeats": arguments.repeats,
            "threads": arguments.threads,
        }
        arguments.output.write_text(json.dumps({"settings": settings, "hear": heard, "answer": said}, indent=2))
    write_goals(arguments.goals, goals)


if __name__ == "__main__":
    main()
