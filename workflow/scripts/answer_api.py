"""Answer one task in one condition, all voices, with one system that a service answers for."""

import sys
from pathlib import Path

from cascade_equivalence import stages
from cascade_equivalence.jobs.script import node

with node(snakemake) as study:
    from cascade_equivalence.models.api.answers import ask_questions
    from cascade_equivalence.models.api.records import version_changes
    from cascade_equivalence.models.store import UNANSWERED
    from cascade_equivalence.nodes.answers import heard_items, heard_rows, questions, score_answers
    from cascade_equivalence.nodes.api_answers import add_service
    from cascade_equivalence.tasks.items import read_items

    system, task, condition = (snakemake.wildcards[name] for name in ("system", "task", "condition"))
    spec = study.task(task)
    items = read_items(Path(snakemake.input.item_table))
    rows, audio = heard_rows(study, system, task, snakemake.input.heard)
    items = heard_items(items, rows, study.most_items(condition))
    asked = questions(task, spec, study.config.answer.system_prompt, items, rows, audio)
    store = study.store("answers", system, task, f"{condition}.jsonl")
    # A text may be read in several conditions: the one that was spoken, or none.
    others = [path for path in store.parent.glob("*.jsonl") if path != store and not path.name.endswith(UNANSWERED)]
    answers = ask_questions(
        asked,
        [f"item {name} in voice {voice}" for name, voice in rows.select("id", "voice").iter_rows()],
        stages.api.service(study, system),
        spec.max_new_tokens,
        store,
        f"{system}: {task}, {condition}",
        beside=[] if audio else sorted(others),
    )
    for sentence in version_changes(study.store("answers", system)):
        print(f"Warning: {sentence}", file=sys.stderr)
    judged = Path(snakemake.output.answers)
    of = {"system": system, "task": task, "condition": condition}
    score_answers(task, spec, "generate", items, rows, answers, judged, of)
    add_service(judged, study.apis[system], asked, spec.max_new_tokens, store)
