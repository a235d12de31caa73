"""A study as a Workflow Run RO-Crate: the workflow, every node as an action, every file with its hash.

Follows the profiles Process Run Crate, Workflow Run Crate and Provenance Run Crate 0.5
(https://w3id.org/ro/wfrun), which build on Workflow RO-Crate 1.0 and RO-Crate 1.1.
"""

import json
import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from cascade_equivalence.errors import StudyError
from cascade_equivalence.files import write_text
from cascade_equivalence.provenance.record import (
    CONFIGS,
    ENVIRONMENTS,
    RECORDS,
    Record,
    plugin_file,
    read_records,
    read_shared,
    shared_file,
)
from cascade_equivalence.provenance.verify import CRATE, WORKFLOW, made_by
from cascade_equivalence.publish.entities import CrateFiles, add_entity, unique, version_text
from cascade_equivalence.resources import REPOSITORY

if TYPE_CHECKING:
    from rocrate.model.entity import Entity
    from rocrate.rocrate import ROCrate

PROFILES = {
    "https://w3id.org/ro/wfrun/process/0.5": "Process Run Crate",
    "https://w3id.org/ro/wfrun/workflow/0.5": "Workflow Run Crate",
    "https://w3id.org/ro/wfrun/provenance/0.5": "Provenance Run Crate",
    "https://w3id.org/workflowhub/workflow-ro-crate/1.0": "Workflow RO-Crate",
}
TERMS = "https://w3id.org/ro/terms/workflow-run/context"
RO_CRATE = "1.1"  # what the profiles build on
COMPLETED = "http://schema.org/CompletedActionStatus"
SOURCES = ("workflow/Snakefile", "workflow/rules/*.smk", "workflow/scripts/*.py", "requirements/locks/run.txt")
NOT_CHOSEN = (
    "Not chosen yet: whose study it is says so (`cascade-equivalence crate --licence`). Models and items have licences "
    "of their own."
)


def write_crate(folder: Path, licence: str | None = None) -> Path:
    """Describe a results folder in ``ro-crate-metadata.json``, and put the workflow's source beside it.

    Args:
        folder: The results folder of a study.
        licence: URL of the licence of the results.

    Returns:
        The file.

    Raises:
        StudyError: The folder holds no records, or this package is installed without the workflow.
    """
    records = read_records(folder)
    if not records:
        raise StudyError(f"{folder} holds no records of nodes: run the study first")
    for name, source in workflow_sources().items():
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, target)
    metadata = describe(folder, records, lambda path: (folder / path).is_file(), licence)
    text = json.dumps(metadata, indent=1, sort_keys=True, ensure_ascii=False)
    return write_text(folder / CRATE, text + "\n")


def workflow_sources() -> dict[str, Path]:
    """The workflow's files, by their paths in a crate.

    Raises:
        StudyError: They are not here.
    """
    found = [path for pattern in SOURCES for path in sorted(REPOSITORY.glob(pattern))]
    if not found:
        raise StudyError(
            "crates and supplements hold the workflow's rules, and this package is installed without them: "
            "use the project's checkout, as in `PYTHONPATH=CHECKOUT/src python -m cascade_equivalence crate RESULTS`"
        )
    return {
        (PurePosixPath(WORKFLOW) / path.relative_to(REPOSITORY).as_posix().removeprefix("workflow/")).as_posix(): path
        for path in found
    }


def describe(
    folder: Path, records: Mapping[Path, Record], there: Callable[[str], bool], licence: str | None = None
) -> dict[str, Any]:
    """The metadata of a crate.

    Args:
        folder: The results folder.
        records: Its records, by their files.
        there: Whether a file lies in the crate, by its path; others are described by their hash.
        licence: URL of the licence of the results.

    Returns:
        JSON-LD: the same for the same records and files.
    """
    from rocrate.rocrate import ROCrate

    latest = max(record.ended for record in records.values())
    crate = ROCrate(version=RO_CRATE)
    crate.metadata.extra_contexts.append(TERMS)
    root = crate.root_dataset
    root["name"] = f"Results of the study {folder.resolve().name}"
    root["description"] = "Do speech LLMs behave like a Whisper -> LLM cascade? Tables, answers and how they were made."
    root["datePublished"] = latest
    root["license"] = add_entity(crate, licence or "#licence", "CreativeWork", name=licence or NOT_CHOSEN)
    root["conformsTo"] = [
        add_entity(crate, url, "CreativeWork", name=name, version=url.rpartition("/")[2])
        for url, name in PROFILES.items()
    ]
    _Run(crate, folder, records, there).describe()
    generated: dict[str, Any] = crate.metadata.generate()
    return generated


class _Run:
    """One run of the workflow, being described."""

    def __init__(
        self, crate: "ROCrate", folder: Path, records: Mapping[Path, Record], there: Callable[[str], bool]
    ) -> None:
        self._crate = crate
        self._folder = folder
        # The last to make a file made it.
        current = {id(record) for record, _ in made_by(records.values()).values()}
        kept = [(path, record) for path, record in records.items() if id(record) in current]
        self._paths = dict(sorted(kept, key=lambda each: (each[1].started, each[0])))
        self._records = list(self._paths.values())
        self._files = CrateFiles(crate, folder, there)

    def describe(self) -> None:
        """Add the workflow, its steps, its tools, and what they did."""
        last = max(self._records, key=lambda record: record.ended)
        tools, steps = self._rules()
        workflow = self._workflow(last, tools, steps)
        actions = [self._action(path, record, tools[record.rule]) for path, record in self._paths.items()]
        made = {(use.place, use.path, use.sha256) for record in self._records for use in record.outputs}
        given = [
            use
            for record in self._records
            for use in record.inputs
            if use.place != "results" and (use.place, use.path, use.sha256) not in made
        ]
        configs = [
            self._files.at(shared_file(self._folder, CONFIGS, name))
            for name in sorted({r.config for r in self._records})
        ]
        plugins = {
            plugin_file(self._folder, use): f"{use.place}/{use.path}" for r in self._records for use in r.plugins
        }
        sources = [self._files.at(path, title) for path, title in sorted(plugins.items()) if path.is_file()]
        run = self._event(
            "#run",
            "CreateAction",
            f"Run of the study {self._folder.resolve().name}",
            self._records,
            instrument=workflow,
            object=unique([*configs, *sources, *map(self._files.used, given), *self._models()]),
            result=unique(self._files.used(use) for record in self._records for use in record.outputs),
        )
        controls = [
            add_entity(
                self._crate,
                f"#control/{number}",
                "ControlAction",
                name=f"Ran {record.name}",
                instrument=steps[record.rule],
                object=action,
                actionStatus=COMPLETED,
            )
            for number, (record, action) in enumerate(zip(self._records, actions, strict=True))
        ]
        packages = read_shared(self._folder, ENVIRONMENTS, last.environment).get("packages", {})
        engine = add_entity(
            self._crate,
            "#snakemake",
            "SoftwareApplication",
            name="Snakemake",
            url="https://snakemake.readthedocs.io",
            softwareVersion=str(packages.get("snakemake", "not known")),
        )
        organised = self._event(
            "#organised", "OrganizeAction", "Snakemake ran the nodes", self._records, instrument=engine
        )
        organised["object"], organised["result"] = unique(controls), run
        self._crate.root_dataset["mentions"] = [run, organised, *actions, *controls]

    def _rules(self) -> tuple[dict[str, "Entity"], dict[str, "Entity"]]:
        """A tool and a step for each rule."""
        tools, steps = {}, {}
        for position, rule in enumerate(dict.fromkeys(record.rule for record in self._records), start=1):
            version = max((r for r in self._records if r.rule == rule), key=lambda r: r.ended).code
            tools[rule] = add_entity(
                self._crate,
                f"#rule/{rule}",
                "SoftwareApplication",
                name=rule,
                description=f"The rule {rule} of the workflow",
                softwareVersion=version_text(version.version, version.commit, version.modified),
            )
            steps[rule] = add_entity(
                self._crate,
                f"#step/{rule}",
                "HowToStep",
                name=rule,
                position=str(position),
                workExample=tools[rule],
            )
        return tools, steps

    def _workflow(self, last: Record, tools: Mapping[str, "Entity"], steps: Mapping[str, "Entity"]) -> "Entity":
        language = add_entity(
            self._crate,
            "https://w3id.org/workflowhub/workflow-ro-crate#snakemake",
            "ComputerLanguage",
            name="Snakemake",
            identifier={"@id": "https://doi.org/10.1093/bioinformatics/bts480"},
            url={"@id": "https://snakemake.readthedocs.io"},
        )
        sources = [name for name in workflow_sources() if self._files.there(name)]
        main = f"{WORKFLOW}/Snakefile"
        workflow = self._files.data(
            main,
            ["File", "SoftwareSourceCode", "ComputationalWorkflow", "HowTo"],
            name="cascade-equivalence",
            description="Speech, noise, transcripts, answers, agreement, states, tables, figures, report",
            version=version_text(last.code.version, last.code.commit, last.code.modified),
        )
        workflow["programmingLanguage"] = language
        workflow["step"] = unique(steps.values())
        workflow["hasPart"] = unique(tools.values())
        for name in sources:
            if name != main:
                self._files.data(name, "File", name=name, encodingFormat="text/plain")
        self._crate.mainEntity = workflow
        return workflow

    def _action(self, file: Path, record: Record, tool: "Entity") -> "Entity":
        action = self._event(
            f"#node/{file.relative_to(self._folder / RECORDS).with_suffix('').as_posix()}",
            "CreateAction",
            record.name,
            [record],
            instrument=tool,
            object=unique(map(self._files.used, record.inputs)),
            result=unique(map(self._files.used, record.outputs)),
        )
        about = [file, shared_file(self._folder, ENVIRONMENTS, record.environment)]
        action["subjectOf"] = [self._files.at(path) for path in about]
        return action

    def _event(
        self, identifier: str, kind: str, title: str, records: Sequence[Record], /, **properties: Any
    ) -> "Entity":
        return add_entity(
            self._crate,
            identifier,
            kind,
            name=title,
            description=f"{title}: {len(records)} node{'s' * (len(records) > 1)} of the workflow",
            startTime=min(record.started for record in records),
            endTime=max(record.ended for record in records),
            actionStatus=COMPLETED,
            **properties,
        )

    def _models(self) -> list["Entity"]:
        known = {name: model for record in self._records for name, model in record.models.items()}
        return [
            add_entity(
                self._crate,
                f"#model/{name}",
                "CreativeWork",
                name=name,
                description="Weights; the version is a hash over the names and hashes of their files",
                version=model.revision,
                license=model.licence,
            )
            for name, model in sorted(known.items())
        ]
