"""Results as model repositories of the Hugging Face hub hold them: ``.eval_results/*.yaml``, a file a task.

Only what such a file can say truly is written: the accuracy of a system that is one model of the hub, on clean speech,
on the items of a set of the hub. A cascade is no model of a repository, and the project's own items are no set of it.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from cascade_equivalence.conditions import CLEAN
from cascade_equivalence.config.names import TASKS
from cascade_equivalence.errors import StudyError
from cascade_equivalence.files import write_text
from cascade_equivalence.publish.results_read import dataset_of, is_published, recorded_study, systems_of


def write_eval_results(results: Path, folder: Path) -> tuple[list[Path], list[str]]:
    """Write the accuracies of a study's speech LLMs.

    Args:
        results: The study's results.
        folder: Where ``OWNER/MODEL/.eval_results/TASK.yaml`` goes.

    Returns:
        The files, and lines on what is left out and why.

    Raises:
        StudyError: The results hold no answers, or nothing that such a file could say.
    """
    import yaml

    study = recorded_study(results)
    if not is_published(study):
        raise StudyError(f"{results}: the items are the project's own, and these files are for sets of the hub")
    written, left = [], []
    for system, nodes in systems_of(results, study):
        repository = _repository(study, system)
        if repository is None:
            left.append(f"{system} is no single model of the hub")
            continue
        for node in (node for node in nodes if node.condition == CLEAN):
            entries = [_entry(study, node.task, each) for each in [node.answers]]
            found = [entry for entry in entries if entry is not None]
            if not found:
                left.append(f"{system}: the set of {node.task} is not of the hub")
                continue
            path = folder / repository / ".eval_results" / f"{node.task}.yaml"
            written.append(write_text(path, yaml.safe_dump(found, sort_keys=False, allow_unicode=True)))
    if not written:
        raise StudyError(f"{results}: nothing to write: {'; '.join(left)}")
    return written, left


def _repository(study: Mapping[str, Any], system: str) -> str | None:
    spec = study["definitions"]["systems"][system]
    source = study["definitions"]["models"].get(spec.get("model"), {}).get("source", {})
    return source["repo"] if spec["kind"] == "e2e" and source.get("kind") == "hub" else None


def _entry(study: Mapping[str, Any], task: str, answers: Any) -> dict[str, Any] | None:
    source = next(_hub_sources(study, task), None)
    if source is None:
        return None
    voices = answers["voice"].n_unique()
    return {
        "dataset": {"id": source.repo, "task_id": task, "revision": source.revision},
        "value": round(100 * float(answers["correct"].mean()), 2),
        "notes": f"Accuracy in %, spoken items: {answers['id'].n_unique()} in {voices} "
        f"voice{'' if voices == 1 else 's'}, clean speech; seed {study['items']['seed']}",
    }


def _hub_sources(study: Mapping[str, Any], task: str) -> Iterator[Any]:
    """The sets of the hub that a task's items are from."""
    from cascade_equivalence.config.dataset import DatasetSpec
    from cascade_equivalence.tasks.sources.resources import read_resources

    if dataset := dataset_of(study, task):
        yield DatasetSpec.model_validate(dataset)
    elif study["items"]["source"] == "published" and task in TASKS:
        yield from (text for text in read_resources(task, TASKS[task].resources).pin.texts if text.kind == "hub")
