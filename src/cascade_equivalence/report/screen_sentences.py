"""The sentences on a finished study: on each speech LLM, and on the claims on the inside of models.

The terminal prints them and the page begins with them. Open it to change what they are made of; their words are in
`templates/screen.txt`.
"""

from collections.abc import Mapping, Sequence

from cascade_equivalence.config.names import TASKS
from cascade_equivalence.config.statistics import StatisticsConfig
from cascade_equivalence.report.naming import task_title
from cascade_equivalence.report.outcomes import OUTCOMES
from cascade_equivalence.report.prose import say
from cascade_equivalence.report.screen_cells import (
    ALIKE,
    APART,
    AS_GOOD,
    CHANCE,
    OPEN,
    SYMBOLS,
    Nearer,
    Opponent,
    Told,
    nearer,
    opponents,
    told,
)
from cascade_equivalence.report.tables import Tables
from cascade_equivalence.report.verdict_mechanism import findings
from cascade_equivalence.report.wording import counted, cut, printable

SENTENCES = "screen.txt"
WIDTH = 78
LISTED = 4  # tasks in one list of a sentence
LONGEST_IN_SENTENCE = 24


def sentences(tables: Tables) -> list[str]:
    """A sentence for each speech LLM, in the order of the accuracy table; one that there is none, where there is none.

    Args:
        tables: The tidy tables.
    """
    cells, against, right = told(tables), opponents(tables), shares_right(tables)
    if not against:
        return [say(SENTENCES, "no_speech_llm", systems=tables.accuracy["system"].n_unique())]
    return [
        _sentence(
            name,
            each,
            cells.get(each.pair, {}) if each else {},
            right,
            nearer(tables, name, each.cascade) if each else [],
        )
        for name, each in against.items()
    ]


def _sentence(
    name: str,
    each: Opponent | None,
    cells: Mapping[str, Told],
    right: Mapping[tuple[str, str], float],
    others: Sequence[Nearer],
) -> str:
    who = cut(printable(name), LONGEST_IN_SENTENCE)
    if each is None or not cells:
        return say(SENTENCES, "alone", name=who)
    by_state = {state: [task for task, cell in cells.items() if cell.state == state] for state in SYMBOLS}
    apart: list[tuple[str, float, float]] = []
    voice: list[tuple[str, float, float]] = []
    for task in by_state[APART]:
        mine, theirs = (right.get((system, task), 0.0) for system in (name, each.cascade))
        hears = cells[task].better == name and not text_suffices(task)
        (voice if hears else apart).append((_title(task), mine, theirs))
    untold: dict[str, list[str]] = {}
    for task in (*by_state[OPEN], *by_state[CHANCE]):
        untold.setdefault(cells[task].why or CHANCE, []).append(task)
    return say(
        SENTENCES,
        "speech_llm",
        name=who,
        cascade=cut(printable(each.cascade), LONGEST_IN_SENTENCE),
        is_own=each.is_own,
        alike=_some(by_state[ALIKE]),
        good=_some(by_state[AS_GOOD]),
        apart=apart,
        voice=voice,
        most=LISTED,
        untold=[(_some(where), why) for why, where in untold.items()],
        nearer=[
            (cut(printable(each.other), LONGEST_IN_SENTENCE), _some(each.own), _some(each.others))
            for each in others[:1]
        ],
    )


def text_suffices(task: str) -> bool:
    """Whether a task's words hold all that its label depends on."""
    return task not in TASKS or TASKS[task].text_sufficient


def _title(task: str) -> str:
    return cut(printable(task_title(task)), LONGEST_IN_SENTENCE)


def _some(tasks: Sequence[str]) -> list[str]:
    """Titles of tasks, the last of many as their number."""
    over = len(tasks) - LISTED
    return [_title(task) for task in tasks[:LISTED]] + ([f"{over} more"] if over > 0 else [])


def claims_inside(tables: Tables, statistics: StatisticsConfig) -> list[str]:
    """One line on the claims on opened models; none where none was opened."""
    found = findings(tables, statistics)
    if not found:
        return []
    models = list(dict.fromkeys(finding.model for finding in found))

    def counts(names: Sequence[str]) -> list[int]:
        outcomes = [finding.outcome for finding in found if finding.model in names]
        return [outcomes.count(outcome) for outcome in OUTCOMES]

    line = say(SENTENCES, "inside", parts=[(printable(model), *counts([model])) for model in models])
    if len(line) > WIDTH:
        line = say(SENTENCES, "inside", parts=[(counted(len(models), "model"), *counts(models))])
    return [cut(line, WIDTH)]


def shares_right(tables: Tables) -> dict[tuple[str, str], float]:
    """Share of right answers by system and task."""
    known = tables.accuracy.select("system", "task", "accuracy").drop_nulls()
    return {(system, task): share for system, task, share in known.iter_rows()}
