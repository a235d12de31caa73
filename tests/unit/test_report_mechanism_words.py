"""What is said of the inside of models follows the numbers, and turns with them."""

from itertools import product
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from report_mechanism_study import (
    RANKS,
    SPEAKERS,
    TASKS,
    World,
    about,
    inside,
    write_erasure,
    write_mechanism,
)
from report_study import IMPLICIT_OUTLINE, LABELS, PLANTED, STATISTICS

from cascade_equivalence.config.statistics import StatisticsConfig
from cascade_equivalence.report.display import NOT_RUN
from cascade_equivalence.report.erasure_frame import erasure_tables
from cascade_equivalence.report.finding import (
    APART,
    BAG_BREAKS_MORE,
    BAG_DIFFERS,
    HEARING,
    NECESSARY,
    NOT_MEAN,
    READABLE,
    RETAINED,
    SHOWN,
    SPARED,
    SUFFICES,
    Claim,
    Finding,
)
from cascade_equivalence.report.mechanism_schemas import SUFFICIENCY
from cascade_equivalence.report.outcomes import FAILS, HOLDS, UNTOLD
from cascade_equivalence.report.probe_frame import probes_table
from cascade_equivalence.report.tables import Tables
from cascade_equivalence.report.verdict_mechanism import findings, four_levels, stories, tally
from cascade_equivalence.stats.mcnemar import adjust

MODEL, TASK = SPEAKERS[0], TASKS[0]


def test_a_world_as_the_paper_has_it(tmp_path: Path) -> None:
    tables = inside(tmp_path, World(), erasure=True, concepts=tuple(RANKS))
    for claim in (RETAINED, READABLE, SHOWN, NECESSARY, HEARING, NOT_MEAN, SPARED, APART):
        found = [each for each in findings(tables, STATISTICS) if each.claim == claim]
        mixed = claim in (HEARING, NOT_MEAN)  # reading falls without BoC, too; CTC's fall is that of the mean
        assert {each.outcome for each in found} == ({HOLDS, FAILS} if mixed else {HOLDS}), claim.title
    numbers = about(tables, NECESSARY, "Text (first word)").numbers
    assert "parsed 100.0 to" in numbers and "forced choice" in numbers
    assert "random of equal variance" in numbers and "p 0.048" in numbers and "shuffled labels" in numbers


def probing(**ends: tuple[float, float]) -> World:
    """A world with other probes."""
    return World(probes=World().probes | ends)


@pytest.mark.parametrize(
    ("world", "claim", "outcome", "why"),
    [
        (probing(pitch=(0.6, 0.4)), RETAINED, HOLDS, "more than with untrained blocks; less than at the first layer"),
        (probing(pitch=(0.6, 0.4), untrained=(0.5, 0.5)), RETAINED, HOLDS, "less than with untrained blocks"),
        (probing(pitch=(0.6, 0.4), untrained=(0.4, 0.4)), RETAINED, HOLDS, "it may come in with the sound"),
        (probing(pitch=(0.9, -0.1)), RETAINED, FAILS, "it was there at the first layer"),
        (probing(pitch=(0.02, 0.0)), RETAINED, UNTOLD, "no loss since the first layer"),
        (probing(), READABLE, HOLDS, ""),
        (probing(ctc=(0.4, 0.1)), READABLE, FAILS, "falls from the first layer"),
        (probing(ctc=(0.3, 0.3)), READABLE, UNTOLD, "no rise from the first layer"),
        (probing(untrained=(0.05, 0.3)), READABLE, UNTOLD, "untrained blocks are not shown to give less"),
        (probing(ctc=(0.0, 0.05)), READABLE, UNTOLD, "not told from its controls"),
        (World(layers=(5,)), READABLE, UNTOLD, "a single layer"),
        (World(), SHOWN, HOLDS, ""),
        (World(lens=(0.35, 0.1, 0.0)), SHOWN, FAILS, "less than the first"),
        (World(lens=(0.0, 0.3, 0.5)), SHOWN, FAILS, "no more than chance"),
        (World(lens=(0.3, 0.3, 0.05)), SHOWN, UNTOLD, "no rise from the first layer"),
        (World(layers=(5,)), SHOWN, UNTOLD, "a single layer"),
    ],
)
def test_words_on_layers_turn_with_the_numbers(
    tmp_path: Path, world: World, claim: Claim, outcome: str, why: str
) -> None:
    found = about(inside(tmp_path, world), claim, "Pitch" if claim == RETAINED else None)
    assert found.outcome == outcome and why in found.why, found
    last = max(world.layers)
    assert f"at layer {last}" in found.numbers
    assert ("shuffled 0.00" if claim == RETAINED else "0.01" if claim == READABLE else "by chance") in found.numbers


def test_where_the_text_cannot_be_read_nothing_is_said_of_its_loss(tmp_path: Path) -> None:
    tables = inside(tmp_path, World())
    deaf = tables.probes.with_columns(prior=pl.when(pl.col("probe") == "ctc").then(0.9))
    found = about(tables.changed(probes=deaf), APART)
    assert found.outcome == UNTOLD and "from nothing" in found.why
    few = tables.probes.with_columns(feasible_share=pl.when(pl.col("probe") == "ctc").then(0.2))
    assert "only 20.0 % of the utterances" in about(tables.changed(probes=few), READABLE).why


def test_which_of_two_concepts_breaks_more_is_told(tmp_path: Path) -> None:
    alike = {("ctc", "linear", "audio"): 1.0, ("boc", "linear", "audio"): 1.0}
    for survival, outcome in (
        ({("ctc", "linear", "audio"): 0.9, ("boc", "linear", "audio"): 0.1}, HOLDS),
        ({("ctc", "linear", "audio"): 0.1, ("boc", "linear", "audio"): 0.9}, FAILS),
        (alike, UNTOLD),
    ):
        tables = inside(tmp_path, World(survival=survival), erasure=True, concepts=("ctc", "boc"))
        assert about(tables, BAG_BREAKS_MORE).outcome == outcome


ORDERED_FALLS = {("ctc", "linear", "audio"): 0.1, ("boc", "linear", "audio"): 0.9}
BAG_FALLS = {("ctc", "linear", "audio"): 0.9, ("boc", "linear", "audio"): 0.1}


def two_models(root: Path, *survivals: dict[tuple[str, str, str], float]) -> Tables:
    """Two models in which other shares of the answers survive."""
    files = [
        write_erasure(root, model, concept, TASK, World(survival=survival, draws=2))
        for model, survival in zip(SPEAKERS, survivals, strict=True)
        for concept in ("none", "ctc", "boc")
    ]
    answers, controls = erasure_tables(files, LABELS, STATISTICS)
    return Tables(erasure=answers, erasure_controls=controls)


def test_a_difference_between_two_models_is_one_corrected_claim(tmp_path: Path) -> None:
    tables = two_models(tmp_path / "apart", BAG_FALLS, ORDERED_FALLS)
    found = about(tables, BAG_DIFFERS)
    assert found.outcome == HOLDS and found.model == SPEAKERS[0] and SPEAKERS[1] in found.subject
    assert found.p is not None and found.p_adjusted is not None and found.p <= found.p_adjusted <= STATISTICS.fdr
    tested = [each for each in findings(tables, STATISTICS) if each.p is not None]
    assert [each.p_adjusted for each in tested] == adjust([each.p for each in tested])
    alike = about(two_models(tmp_path / "alike", BAG_FALLS, BAG_FALLS), BAG_DIFFERS)
    assert alike.outcome == UNTOLD and alike.p is not None
    for model, state in product(SPEAKERS, ("at", "unknown")):
        weak = pl.when(model=model).then(pl.lit(state)).otherwise("against_chance").alias("against_chance")
        found = about(tables.changed(erasure=tables.erasure.with_columns(weak)), BAG_DIFFERS)
        assert found.outcome == UNTOLD and ("not above chance" in found.why) == (state == "at"), found.why


def test_claims_are_corrected_at_the_studys_own_rate(tmp_path: Path) -> None:
    tables = two_models(tmp_path, BAG_FALLS, ORDERED_FALLS)
    for fdr in (1e-12, 0.2):
        statistics = StatisticsConfig(fdr=fdr)
        found = findings(tables, statistics)
        tested = [each for each in found if each.p_adjusted is not None]
        assert tested and {each.p_adjusted > fdr for each in tested if each.p_adjusted} >= {fdr < 1e-3}
        for each in tested:
            assert each.outcome == UNTOLD or (each.p_adjusted or 0.0) <= fdr
        same = [(each.claim, each.p_adjusted) for each in findings(tables, STATISTICS)]
        assert [(each.claim, each.p_adjusted) for each in found] == same


def sufficient(**changed: Any) -> Finding:
    """What is said of a row of the sufficiency table."""
    row: dict[str, Any] = dict.fromkeys(SUFFICIENCY) | {"model": MODEL, "system": "talker", "implicit": "implied"}
    row |= {"explicit": "base-qwen", "explicit_asr": "base", "task": TASK, "rows": 300, "groups": 100, "paired": True}
    row |= {"chance": 0.25, "system_against_chance": "above", "explicit_against_chance": "above"}
    for name, value in (("kappa_implicit", 0.9), ("kappa_explicit", 0.9), ("kappa_difference", 0.0)):
        row |= {name: value, f"{name}_low": value - 0.05, f"{name}_high": value + 0.05}
    tables = Tables(sufficiency=pl.DataFrame([row | changed], schema=SUFFICIENCY))
    return about(tables, SUFFICES)


def test_words_on_sufficiency_turn_with_the_numbers() -> None:
    assert sufficient().outcome == HOLDS
    lost = {"kappa_difference_low": -0.6, "kappa_difference": -0.5, "kappa_difference_high": -0.4}
    assert sufficient(**lost).outcome == FAILS
    # An implicit cascade at chance is how too little text shows, and no excuse.
    assert sufficient(**lost, implicit_against_chance="at").outcome == FAILS
    assert sufficient(kappa_difference_low=-0.2).outcome == UNTOLD
    assert "too few" in sufficient(groups=12).why
    for arm, name in (("system", "talker"), ("explicit", "base-qwen")):
        found = sufficient(**lost, **{f"{arm}_against_chance": "at"})
        assert found.outcome == UNTOLD and f"{name} is not above chance" in found.why
        # Too few to tell is no third word for at chance.
        found = sufficient(**lost, **{f"{arm}_against_chance": "unknown"})
        assert found.outcome == UNTOLD and name in found.why and "not above chance" not in found.why
    alone = sufficient(explicit=None, reason="no cascade", kappa_difference_low=None, kappa_difference_high=None)
    assert (alone.outcome, alone.why) == (UNTOLD, "no cascade") and "no cascade of an ASR" in alone.subject
    assert "not paired" in sufficient(paired=False).numbers


def test_stories_tell_every_finding_once(tmp_path: Path) -> None:
    tables = inside(tmp_path, World(), erasure=True, concepts=tuple(RANKS))
    found = findings(tables, STATISTICS)
    (story,) = stories(found, IMPLICIT_OUTLINE)
    assert (story.model, story.role) == (MODEL, "speech LLM")
    told = [text for judged in story.judgements for each in judged.sentences for text in (each.lead, *each.details)]
    for finding in found:
        assert sum(finding.numbers.lower() in text.lower() for text in told) >= 1, finding
    row = four_levels(found).rows[0]
    assert row[0] == MODEL and row[3] == NOT_RUN and "Energy: 0.85, shuffled 0.00" in row[1]
    assert "Text needed: holds" in row[4] and "Text without sound: holds" in row[4]
    counts = [sum(map(int, line[2:])) for line in tally(found).rows]
    assert sum(counts) == len(found)


def test_ears_are_a_control_and_models_come_in_order(tmp_path: Path) -> None:
    files = write_mechanism(tmp_path, World(draws=2, clips=10), tasks=())
    found = findings(Tables(probes=probes_table(files.probes, STATISTICS)), STATISTICS)
    told = stories(found, IMPLICIT_OUTLINE)
    assert [(story.model, story.role) for story in told] == [
        ("talker-llm", "speech LLM"),
        ("mumbler-llm", "speech LLM"),
        ("base", "control"),
    ]
    assert {judged.claim for judged in told[2].judgements} == {RETAINED, READABLE}


def test_a_reason_from_outside_is_repeated_as_it_is(tmp_path: Path) -> None:
    tables = inside(tmp_path, World())
    last = pl.col("probe").eq("pitch") & pl.col("layer").eq(8) & ~pl.col("untrained")
    hollow = [pl.when(last).then(None).otherwise(name).alias(name) for name in ("value", "value_low", "value_high")]
    spoilt = tables.probes.with_columns(*hollow, reason=pl.when(last).then(pl.lit(PLANTED)))
    found = about(tables.changed(probes=spoilt), RETAINED, "Pitch")
    assert found.outcome == UNTOLD and PLANTED in found.why and "n/a" in found.numbers
