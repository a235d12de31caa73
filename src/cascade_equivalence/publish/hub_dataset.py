"""A study's answers as a data set of the Hugging Face hub: Parquet files and a card that says what they hold."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import polars as pl

from cascade_equivalence import __version__
from cascade_equivalence.conditions import sort_conditions
from cascade_equivalence.errors import StudyError
from cascade_equivalence.files import replacing, write_text
from cascade_equivalence.provenance.cells import hashed
from cascade_equivalence.publish.results_read import (
    ScoredNode,
    dataset_of,
    has_labels,
    is_published,
    recorded_study,
    systems_of,
)
from cascade_equivalence.vocabulary import INVALID

CARD = "README.md"
COLUMNS: Mapping[str, str] = {
    "system": "what answered",
    "id": "the item",
    "voice": "who spoke it",
    "group": "items of one group are not independent of each other",
    "text": "what was spoken",
    "label": "the gold answer",
    "raw": "the answer as it was given",
    "parsed": f"what was read from it; `{INVALID}` where it is none of the labels",
    "correct": "whether that is right",
}
SIZES = (("n<1K", 1_000), ("1K<n<10K", 10_000), ("10K<n<100K", 100_000), ("100K<n<1M", 1_000_000))
LARGEST = "1M<n<10M"


def write_hub_dataset(results: Path, folder: Path, licence: str, *, texts: bool = False) -> list[Path]:
    """Write every answer and a card.

    Args:
        results: The study's results.
        folder: Gets `data/TASK/CONDITION.parquet`, a row an answer, and `README.md`.
        licence: What the hub calls the licence of the answers, such as ``cc-by-4.0``.
        texts: Whether the words of published items, and answers that may quote them, are written; else hashes are.

    Returns:
        The files.

    Raises:
        StudyError: The results hold no answers or no record of their study, or the hub's library refuses the card.
    """
    study = recorded_study(results)
    quoting = texts or not is_published(study)
    tables: dict[tuple[str, str], list[pl.DataFrame]] = {}
    for system, nodes in systems_of(results, study):
        for node in nodes:
            rows = _rows(system, node, quoting=quoting, free=not has_labels(study, node.task))
            tables.setdefault((node.task, node.condition), []).append(rows)
    written, counts = [], dict[tuple[str, str], int]()
    for (task, condition), parts in tables.items():
        table, path = pl.concat(parts), folder / "data" / task / f"{condition}.parquet"
        with replacing(path) as part:
            table.write_parquet(part)
        written.append(path)
        counts[task, condition] = table.height
    card = _card(study, results.resolve().name, counts, licence, quoting=quoting)
    return [*written, write_text(folder / CARD, _checked(card))]


def _rows(system: str, node: ScoredNode, *, quoting: bool, free: bool) -> pl.DataFrame:
    rows = []
    for row in node.answers.iter_rows(named=True):
        said = {name: row[name] for name in COLUMNS if name != "system"}
        if not quoting:
            read = said["parsed"] if said["parsed"] == INVALID or not free else hashed(said["parsed"])
            said |= {"text": hashed(said["text"]), "raw": read, "parsed": read}
            said["label"] = hashed(said["label"]) if free else said["label"]
        rows.append({"system": system} | said)
    kinds = dict.fromkeys(COLUMNS, pl.String()) | {"correct": pl.Boolean()}
    return pl.DataFrame(rows, schema=kinds, orient="row")


def _card(
    study: Mapping[str, Any], name: str, counts: Mapping[tuple[str, str], int], licence: str, *, quoting: bool
) -> str:
    import yaml

    tasks = list(dict.fromkeys(task for task, _ in counts))
    conditions = {task: sort_conditions([heard for of, heard in counts if of == task]) for task in tasks}
    rows = sum(counts.values())
    head = {
        "license": licence,
        "language": ["en"],
        "pretty_name": f"Answers of the study {name}",
        "tags": ["speech", "spoken-language-understanding", "cascade-equivalence"],
        "size_categories": [next((size for size, most in SIZES if rows < most), LARGEST)],
        "configs": [
            {
                "config_name": task,
                "data_files": [
                    {"split": condition, "path": f"data/{task}/{condition}.parquet"} for condition in conditions[task]
                ],
            }
            for task in tasks
        ],
    }
    lines = [
        f"# Answers of the study {name}",
        "",
        f"Every answer of {len(study['systems'])} systems to spoken items, {rows:,} rows, as "
        f"cascade-equivalence {__version__} gathered them: a configuration a task, a split a condition of the sound.",
        "",
        "| task | items from | " + "rows by condition |",
        "|---|---|---|",
        *(
            f"| {task} | {_source(study, task)} | "
            + ", ".join(f"{heard} {counts[task, heard]:,}" for heard in conditions[task])
            + " |"
            for task in tasks
        ),
        "",
        "| column | |",
        "|---|---|",
        *(f"| `{column}` | {meaning} |" for column, meaning in COLUMNS.items()),
        "",
        "The words are the study's own items'."
        if quoting and not is_published(study)
        else "The words of published items are in it: mind their sets' licences."
        if quoting
        else "The words of published items belong to their sets: `sha256:` and a hash stand in their place, and of an "
        "answer only what was read from it is given. `id` is the item's in its set.",
        "",
        "| system | kind | made of |",
        "|---|---|---|",
        *(f"| {system} | {_kind(study, system)} | {_parts(study, system)} |" for system in study["systems"]),
        "",
    ]
    return f"---\n{yaml.safe_dump(head, sort_keys=False, allow_unicode=True)}---\n" + "\n".join(lines)


def _checked(card: str) -> str:
    """A card that the hub's own library reads.

    Raises:
        StudyError: It does not.
    """
    from huggingface_hub import DatasetCard

    try:
        DatasetCard(card, ignore_metadata_errors=False)
    except (ValueError, TypeError) as error:
        raise StudyError(f"the card is not as the hub wants it: {error}") from error
    return card


def _source(study: Mapping[str, Any], task: str) -> str:
    if dataset := dataset_of(study, task):
        return f"[{dataset['repo']}](https://huggingface.co/datasets/{dataset['repo']}/tree/{dataset['revision']})"
    return "its published set" if (study.get("items") or {}).get("source") != "demo" else "the project's or study's own"


def _kind(study: Mapping[str, Any], system: str) -> str:
    return str(study["definitions"]["systems"][system]["kind"])


def _parts(study: Mapping[str, Any], system: str) -> str:
    spec = study["definitions"]["systems"][system]
    parts: Sequence[str] = [str(spec[key]) for key in ("provider", "asr", "llm", "model") if spec.get(key)]
    return ", ".join(parts).replace("|", r"\|")
