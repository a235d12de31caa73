"""Results in the form of Every Eval Ever 0.3: of each system one file on its scores and one with a line an answer.

The words of published items belong to their sets, so hashes stand in their place: of the text, of free gold answers and
of free answers. Of an answer from a closed set the label that was read from it is written, which cannot quote them.
"""

import hashlib
import json
import uuid
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from cascade_equivalence import __version__
from cascade_equivalence.files import write_text
from cascade_equivalence.provenance.cells import hashed
from cascade_equivalence.publish.results_read import (
    ScoredNode,
    is_published,
    labels_of,
    recorded_study,
    systems_of,
)
from cascade_equivalence.stats.accuracy import summarise
from cascade_equivalence.vocabulary import INVALID

SCHEMA_VERSION = "0.3.0"
COLLECTION = "cascade-equivalence"
METRIC = "accuracy"


def write_every_eval_ever(results: Path, folder: Path, organisation: str, *, texts: bool = False) -> list[Path]:
    """Write the answers of a study's systems.

    Args:
        results: The study's results.
        folder: Where ``data/...`` goes, as the datastore lays it out.
        organisation: Who ran the study.
        texts: Whether the words of published items, and answers that may quote them, are written.

    Returns:
        The files, two a system.

    Raises:
        StudyError: The results hold no answers or no record of their study.
    """
    study = recorded_study(results)
    quoting = texts or not is_published(study)
    written = []
    for system, nodes in systems_of(results, study):
        model = model_of(study, system)
        when = max(node.when for node in nodes)
        evaluation = f"{COLLECTION}/{model['id']}/{when}"
        # The same results have the same name, a random one as the form asks for.
        name = str(uuid.UUID(bytes=hashlib.sha256(f"{evaluation}/{system}".encode()).digest()[:16], version=4))
        developer, _, short = model["id"].partition("/")
        place = Path("data", COLLECTION, developer, short.replace("/", "_"))
        lines = [line for node in nodes for line in _lines(node, evaluation, model["id"], quoting)]
        samples = "".join(json.dumps(line, ensure_ascii=False, allow_nan=False) + "\n" for line in lines)
        written.append(write_text(folder / place / f"{name}_samples.jsonl", samples))
        whole = {
            "schema_version": SCHEMA_VERSION,
            "evaluation_id": evaluation,
            "evaluation_timestamp": str(when),
            "retrieved_timestamp": str(when),
            "source_metadata": {
                "source_type": "evaluation_run",
                "source_organization_name": organisation,
                "evaluator_relationship": "third_party",
            },
            "model_info": model,
            "eval_library": {"name": COLLECTION, "version": __version__},
            "evaluation_results": [_result(node, study) for node in nodes],
            "detailed_evaluation_results": {
                "format": "jsonl",
                "file_path": (place / f"{name}_samples.jsonl").as_posix(),
                "hash_algorithm": "sha256",
                "checksum": hashlib.sha256(samples.encode()).hexdigest(),
                "total_rows": len(lines),
            },
        }
        text = json.dumps(whole, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
        written.append(write_text(folder / place / f"{name}.json", text))
    return written


def model_of(study: Mapping[str, Any], system: str) -> dict[str, Any]:
    """What Every Eval Ever says of a model, of a system: a hub's name where it is one model of a hub."""
    spec = study["definitions"]["systems"][system]
    models = study["definitions"]["models"]
    source = models.get(spec.get("model"), {}).get("source", {}) if spec["kind"] == "e2e" else {}
    run_by = models.get(spec.get("llm"), {}).get("source", {}).get("kind")
    served, here = spec["kind"] == "api", spec["kind"] not in ("api", "imported") and run_by != "endpoint"
    name = source["repo"] if source.get("kind") == "hub" else f"{COLLECTION}/{system}"
    if served:
        name = f"{spec['provider']}/{spec['model']}"
    parts = {key: str(spec[key]) for key in ("kind", "asr", "llm", "model") if spec.get(key)}
    return {
        "name": system,
        "id": name,
        "additional_details": {
            "deployment_type": "self_deployed" if here else "externally_managed" if served else "unknown",
            "model_availability": "open_weights" if here else "unknown",
            **parts,
        },
    }


def _result(node: ScoredNode, study: Mapping[str, Any]) -> dict[str, Any]:
    confidence = study["statistics"]["confidence"]
    accuracy = summarise(node.answers, labels_of(node.task), confidence=confidence)["accuracy"]
    details: dict[str, Any] = {"score": accuracy["value"]}
    if accuracy["low"] is not None:
        details["uncertainty"] = {
            "confidence_interval": {
                "lower": accuracy["low"],
                "upper": accuracy["high"],
                "confidence_level": confidence,
                "method": "score interval (Wilson) by groups of items",
            },
            "num_samples": node.answers.height,
        }
    return {
        "evaluation_result_id": f"{node.name}/{METRIC}",
        "evaluation_name": node.name,
        "source_data": {"dataset_name": node.task, "source_type": "other"},
        "metric_config": {
            "evaluation_description": f"{node.task} spoken ({node.condition}); an answer that is none is wrong",
            "metric_id": METRIC,
            "metric_name": "Accuracy",
            "metric_kind": METRIC,
            "metric_unit": "proportion",
            "lower_is_better": False,
            "score_type": "continuous",
            "min_score": 0.0,
            "max_score": 1.0,
        },
        "score_details": details,
    }


def _lines(node: ScoredNode, evaluation: str, model: str, quoting: bool) -> Iterator[dict[str, Any]]:
    free = not labels_of(node.task)
    for row in node.answers.iter_rows(named=True):
        show = (lambda text: text) if quoting else hashed
        show_label = show if free else (lambda text: text)
        references = [show_label(row["label"]), *map(show, row["aliases"])]
        raw, parsed = show(row["text"]), row["parsed"] if row["parsed"] == INVALID else show_label(row["parsed"])
        said = row["raw"] if quoting else parsed
        line = {
            "schema_version": SCHEMA_VERSION,
            "evaluation_id": evaluation,
            "model_id": model,
            "evaluation_name": node.name,
            "evaluation_result_id": f"{node.name}/{METRIC}",
            "sample_id": f"{row['id']}/{row['voice']}",
            "sample_hash": hashlib.sha256((raw + "".join(references)).encode()).hexdigest(),
            "interaction_type": "single_turn",
            "input": {
                "raw": raw,
                "reference": references,
                "choices": row["options"] if quoting and row["options"] else None,
            },
            "output": {"raw": [said]},
            "answer_attribution": [
                {
                    "turn_idx": 0,
                    "source": "output.raw",
                    "extracted_value": parsed,
                    "extraction_method": f"parser of {COLLECTION}",
                    "is_terminal": True,
                }
            ],
            "evaluation": {"score": float(row["correct"]), "is_correct": bool(row["correct"])},
            "metadata": {name: str(row[name]) for name in ("voice", "group")} | {"item": row["id"]},
        }
        yield line | _cost(row)


def _cost(row: Mapping[str, Any]) -> dict[str, Any]:
    """Tokens and time of an answer, where they are known."""
    found: dict[str, Any] = {}
    asked, said, seconds = (row.get(name) for name in ("prompt_tokens", "new_tokens", "seconds"))
    if asked is not None and said is not None:
        found["token_usage"] = {"input_tokens": asked, "output_tokens": said, "total_tokens": asked + said}
    if seconds is not None:
        found["performance"] = {"latency_ms": 1000 * float(seconds)}
    return found
