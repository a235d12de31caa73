"""Tries prompts on items that no study reports, given the TRUE text.

    python benchmarks/select_prompts.py benchmarks/prompts/*.yaml --llm smollm2-135m-instruct --folder DATA

Each file holds a `task` and `candidates`: name to the same keys as in `config/tasks.yaml`. Items are the demo's dev
split and, with ``--folder``, those of the published set that the sampler ranks behind the first 1000 (behind the first
400 where a set is too small), so that no config with ``per_task`` up to that number reports them.
"""

import argparse
from collections import Counter
from pathlib import Path
from typing import Any

import yaml

from cascade_equivalence.__main__ import read_study
from cascade_equivalence.config.check_prompts import prompt_problems
from cascade_equivalence.config.study import ItemsConfig, TaskSpec
from cascade_equivalence.models.device import resolve_dtype
from cascade_equivalence.models.sources.resolve import resolve_model
from cascade_equivalence.models.sources.wheels import default_cache
from cascade_equivalence.models.text_llm import TextLLM
from cascade_equivalence.resources import REPOSITORY, RESOURCES
from cascade_equivalence.tasks.base import Item
from cascade_equivalence.tasks.prepare import prepare_items
from cascade_equivalence.tasks.prompts import build_messages
from cascade_equivalence.tasks.registry import get_task
from cascade_equivalence.vocabulary import INVALID

REPORTED, REPORTED_SMALL = 1000, 400
BATCH = 16


def unreported(task: str, folder: Path | None, count: int) -> dict[str, list[Item]]:
    """Items to choose on, by where they are from."""
    demo = ItemsConfig(source="demo", per_task=10_000)
    resources = RESOURCES
    found = {"demo dev": prepare_items(task, demo, resources, resources, "dev")[0]}
    if folder is not None:
        published = ItemsConfig(folder=folder, per_task=100_000, complete=False)
        ranked, _ = prepare_items(task, published, resources, folder)
        rest = ranked[REPORTED:] if len(ranked) > REPORTED + count else ranked[REPORTED_SMALL:]
        if rest:
            found["published"] = rest[:count]
    return found


def judge(llm: TextLLM, task: str, spec: TaskSpec, items: list[Item]) -> tuple[float, float, Counter[str]]:
    """Accuracy, parse rate and the labels given."""
    asked = get_task(task)
    rows = [llm.tokenize(llm.render(build_messages(spec, "", i.text, i.options), spec.answer_prefix)) for i in items]
    prefix = llm.usable_prefix(rows, spec.max_new_tokens)
    shared = llm.prefix_cache(rows[0][:prefix])
    order = sorted(range(len(items)), key=lambda index: len(rows[index]))
    right, labels = 0, Counter[str]()
    for start in range(0, len(order), BATCH):
        batch = order[start : start + BATCH]
        answers = llm.generate([rows[index] for index in batch], spec.max_new_tokens, prefix, shared)
        for index, answer in zip(batch, answers, strict=True):
            parsed = asked.parse(answer.text, items[index].options, spec.label_words)
            labels[parsed] += 1
            right += asked.score(parsed, items[index])
    return right / len(items), 1 - labels[INVALID] / len(items), labels


def main() -> None:
    """Print one Markdown row a prompt, model and set of items."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("prompts", nargs="+", type=Path)
    parser.add_argument("--llm", nargs="+", default=["smollm2-135m-instruct", "gemma-3-270m"])
    parser.add_argument("--folder", type=Path, help="folder with the published sets")
    parser.add_argument("--count", type=int, default=100, help="published items to try a prompt on")
    arguments = parser.parse_args()
    study = read_study(REPOSITORY / "config" / "demo.yaml")
    print("| model | task | prompt | items | n | accuracy | parsed | answers |\n|---|---|---|---|---|---|---|---|")
    for name in arguments.llm:
        folder = resolve_model(name, study.model(name), default_cache() / "models" / name)
        llm = TextLLM(folder, "cpu", resolve_dtype("auto", "cpu"), study.model(name).chat)
        for path in arguments.prompts:
            content: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
            task = content["task"]
            candidates = {"config/tasks.yaml": study.task(task)}
            candidates |= {key: TaskSpec.model_validate(value) for key, value in content["candidates"].items()}
            for source, items in unreported(task, arguments.folder, arguments.count).items():
                for prompt, spec in candidates.items():
                    if problems := prompt_problems(task, spec):
                        parser.error(f"{path}, {prompt}: {' '.join(problems)}")
                    accuracy, parsed, labels = judge(llm, task, spec, items)
                    given = ", ".join(f"{label} {count}" for label, count in labels.most_common(4))
                    row = (name, task, prompt, source, len(items), f"{accuracy:.2f}", f"{parsed:.2f}", given)
                    print("| " + " | ".join(map(str, row)) + " |", flush=True)


if __name__ == "__main__":
    main()
