"""Tries transcription prompts on texts that no study reports: how a text LLM repeats the TRUE text.

    python benchmarks/select_transcription_prompt.py benchmarks/transcription_prompts.yaml --llm smollm2-135m-instruct

A speech LLM that is asked for a transcript repeats what it hears. What its text LLM gets wrong when it repeats the very
words comes on top of what it hears wrong, and depends much on the wording. The texts are the dev split of the project's
own items.
"""

import argparse
import time
from collections.abc import Sequence
from pathlib import Path

import yaml

from cascade_equivalence.__main__ import read_study
from cascade_equivalence.config.sources import TranscriptionPrompt
from cascade_equivalence.config.study import ItemsConfig
from cascade_equivalence.connector.distil import repeat_prompt
from cascade_equivalence.connector.evaluation import BATCH, error_rate, written_down
from cascade_equivalence.models.device import resolve_dtype
from cascade_equivalence.models.sources.resolve import resolve_model
from cascade_equivalence.models.sources.wheels import default_cache
from cascade_equivalence.models.text_llm import TextLLM
from cascade_equivalence.resources import REPOSITORY, RESOURCES
from cascade_equivalence.tasks.prepare import prepare_items


def texts(tasks: Sequence[str]) -> list[str]:
    """What is spoken in the dev split, each text once, short ones first."""
    demo = ItemsConfig(source="demo", per_task=10_000)
    resources = RESOURCES
    found = {item.text for task in tasks for item in prepare_items(task, demo, resources, resources, "dev")[0]}
    return sorted(found, key=lambda text: (len(text), text))


def main() -> None:
    """Print one Markdown row a prompt."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("prompts", type=Path)
    parser.add_argument("--llm", default="smollm2-135m-instruct")
    parser.add_argument("--longest", type=int, default=96, help="tokens of a transcript at most")
    arguments = parser.parse_args()
    study = read_study(REPOSITORY / "config" / "demo.yaml")
    spec = study.model(arguments.llm)
    folder = resolve_model(arguments.llm, spec, default_cache() / "models" / arguments.llm)
    llm = TextLLM(folder, "cpu", resolve_dtype("auto", "cpu"), spec.chat)
    said = texts(study.config.tasks)
    print(f"{len(said)} texts\n\n| prompt | word error rate | s |\n|---|---:|---:|")
    for name, content in yaml.safe_load(arguments.prompts.read_text(encoding="utf-8")).items():
        asking = repeat_prompt(llm, TranscriptionPrompt.model_validate(content))
        began = time.perf_counter()
        heard: list[str] = []
        for start in range(0, len(said), BATCH):
            words = [llm.tokenize(f" {text}") for text in said[start : start + BATCH]]
            heard += written_down(llm, asking, words, None, arguments.longest)
        print(f"| {name} | {error_rate(said, heard):.3f} | {time.perf_counter() - began:.0f} |", flush=True)


if __name__ == "__main__":
    main()
