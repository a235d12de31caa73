"""The report of a small made-up study with speech LLMs: one that hears something, one that hears nothing."""

import io
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from report_study import (
    LABELS,
    SPEECH_OUTLINE,
    SPEECH_SYSTEMS,
    STATISTICS,
    Study,
    answers_of,
    build,
    match,
    save,
    write_study,
)

from cascade_equivalence.config.statistics import PairSpec
from cascade_equivalence.config.study import E2ESpec
from cascade_equivalence.errors import StudyError
from cascade_equivalence.report.browser import BY_ITSELF, browser_items
from cascade_equivalence.report.build import build_tables
from cascade_equivalence.report.display import NOT_RUN
from cascade_equivalence.report.figures.write import write_figures
from cascade_equivalence.report.headline import print_headline
from cascade_equivalence.report.html import write_report
from cascade_equivalence.report.naming import Outline
from cascade_equivalence.report.pair_tables import ceilings
from cascade_equivalence.report.tables import Tables, displays, write_markdown
from cascade_equivalence.report.verdict import verdict
from cascade_equivalence.report.verdict_speech import contrast_sentence
from cascade_equivalence.stats.numbers import by_comparison, read_comparison

CONTRASTS = [f"{each.system}~{each.first}~{each.second}" for each in SPEECH_OUTLINE.contrasts]


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Study:
    """The made-up study."""
    return write_study(tmp_path_factory.mktemp("study"), SPEECH_OUTLINE)


@pytest.fixture(scope="module")
def tables(study: Study) -> Tables:
    """Its tables."""
    return build(study)


def test_contrasts_table_keeps_the_nodes_numbers(study: Study, tables: Tables) -> None:
    assert tables.contrasts.height == len(study.contrasts)
    rows = {
        (f"{row['system']}~{row['first']}~{row['second']}", row["task"], row["condition"]): row
        for row in tables.contrasts.iter_rows(named=True)
    }
    for (*names, task, condition), found in by_comparison(pl.concat(map(read_comparison, study.contrasts))):
        row = rows["~".join(names), task, condition]
        assert (row["match_first"], row["match_second"]) == (found["match_first"].text, found["match_second"].text)
        assert row["kappa_difference"] == found["kappa_difference"].value
        if row["kappa_difference"] is None:
            assert row["reason"] and row["kappa_difference_low"] is None
        else:
            assert row["kappa_difference"] == pytest.approx(row["kappa_first"] - row["kappa_second"])
    assert list(dict.fromkeys(key[0] for key in rows)) == CONTRASTS


def test_contrasts_and_pairs_give_the_same_kappa(tables: Tables) -> None:
    pairs = {
        frozenset((row["system"], row["reference"])) | {row["task"], row["condition"]}: row["kappa"]
        for row in tables.agreement.iter_rows(named=True)
    }
    compared = 0
    for row in tables.contrasts.iter_rows(named=True):
        for which in ("first", "second"):
            key = frozenset((row["system"], row[which])) | {row["task"], row["condition"]}
            if key in pairs and pairs[key] is not None:
                assert row[f"kappa_{which}"] == pytest.approx(pairs[key])
                compared += 1
    assert compared > 10


def test_tables_say_what_systems_are_made_of(tables: Tables) -> None:
    for row in tables.accuracy.iter_rows(named=True):
        spec = SPEECH_SYSTEMS[row["system"]]
        assert {key: row[key] for key in ("kind", "asr", "llm", "model") if row[key]} == spec.model_dump()
    for row in tables.agreement.iter_rows(named=True):
        assert row["match"] == match(row["system"], row["reference"])
        assert row["system_kind"] == SPEECH_SYSTEMS[row["system"]].kind
        assert row["reference_kind"] == SPEECH_SYSTEMS[row["reference"]].kind


def test_pairs_with_a_speech_llm_come_first_and_keep_their_order(tables: Tables) -> None:
    shown = list(tables.agreement.select("system", "reference").unique(maintain_order=True).iter_rows())
    listed = [(pair.system, pair.reference) for pair in SPEECH_OUTLINE.pairs]
    speech = [pair for pair in listed if SPEECH_OUTLINE.speech_llms & set(pair)]
    assert shown == [*speech, *(pair for pair in listed if pair not in speech)] != listed


def test_transcripts_are_ordered_by_where_they_come_from_and_the_oracle_is_only_named(tables: Tables) -> None:
    origins = list(tables.transcription.select("asr", "kind").unique(maintain_order=True).iter_rows())
    assert origins == [("base", "asr"), ("tiny", "asr"), ("talker-llm", "speech-llm"), ("oracle", "oracle")]
    assert set(tables.transcription.filter(pl.col("kind") == "oracle")["word_error_rate"]) == {0}
    shown = next(display for display in displays(tables, 0.95) if display.name == "transcription")
    assert {row[0] for row in shown.rows} == {"base", "tiny", "talker-llm (own transcription)"}
    assert any("oracle is left out" in remark for remark in shown.remarks)


def test_ceilings_are_cascades_with_one_llm(tables: Tables) -> None:
    assert set(ceilings(tables.agreement).select("system", "reference").iter_rows()) == {("base-qwen", "tiny-qwen")}


def test_shown_contrasts_stand_beside_their_ceiling(tables: Tables) -> None:
    shown = next(display for display in displays(tables, 0.95) if display.name == "contrasts")
    ceiling = shown.columns.index("Ceiling: base-qwen vs. tiny-qwen")
    for cells, row in zip(shown.rows, tables.contrasts.iter_rows(named=True), strict=True):
        assert (cells[ceiling] == NOT_RUN) == (row["system"] == "mumbler")
        guesses = {"at", "below"} & {row[f"{arm}_against_chance"] for arm in ("system", "first", "second")}
        word = cells[shown.columns.index("Shown")]
        assert (word == "not read") == bool(guesses)
        if word in ("yes", "no"):
            assert (word == "yes") == row["agreements_differ"]
            # Shown is what the correction leaves: an interval alone may exclude 0 without it.
            assert word == "no" or row["kappa_difference_low"] > 0 or row["kappa_difference_high"] < 0


def test_csv_and_markdown_come_and_go_with_the_contrasts(study: Study, tables: Tables, tmp_path: Path) -> None:
    tables.write(tmp_path)
    write_markdown(tables, tmp_path, 0.95)
    for name, table in tables.items():
        assert table.equals(Tables.read(tmp_path)[name]), name
    assert "backbone confound" in (tmp_path / "contrasts.md").read_text()
    without = build(study, contrast_files=[])
    without.write(tmp_path)
    write_markdown(without, tmp_path, 0.95)
    assert not list(tmp_path.glob("contrasts.*")) and Tables.read(tmp_path).contrasts.equals(without.contrasts)
    tables.accuracy.drop("kind").write_csv(tmp_path / "accuracy.csv")
    with pytest.raises(StudyError, match="another version"):
        Tables.read(tmp_path)


def test_a_contrast_of_another_study_is_refused(study: Study, tmp_path: Path) -> None:
    names = {"system": "talker", "reference": "base-qwen", "second_reference": "tiny-qwen"}
    path = tmp_path / "any.csv"
    others = {name: pl.lit(value) for name, value in names.items()}
    read_comparison(study.contrasts[0]).with_columns(**others).write_csv(path)
    with pytest.raises(StudyError, match="talker~base-qwen~tiny-qwen"):
        build(study, contrast_files=[path])


def test_verdict_speaks_of_speech_llms_only_where_they_are_above_chance(tables: Tables) -> None:
    paragraphs = verdict(tables, SPEECH_OUTLINE)
    text = " ".join(paragraphs)
    assert "mumbler is a speech LLM and shown to be above chance on no task" in text
    assert not any(paragraph.startswith("mumbler agrees") for paragraph in paragraphs)
    assert "On SST-2 and MUStARD it is not shown to be above chance" in text
    telling = [paragraph for paragraph in paragraphs if paragraph.startswith("talker agrees")]
    assert len(telling) == 5 and not any("SST-2" in paragraph or "MUStARD" in paragraph for paragraph in telling)
    matched = next(paragraph for paragraph in telling if paragraph.startswith("talker agrees with base-qwen"))
    assert "same LLM reading the transcript of base" in matched
    assert "below that of base-qwen vs. tiny-qwen" in matched and "shown to differ on AG News and TriviaQA" in matched
    assert any("talker's own transcription" in paragraph for paragraph in telling)
    assert any("reading the text that was spoken" in paragraph for paragraph in telling)
    assert "talker agrees more with base-qwen" in text and "base-smol alone would have understated" in text
    assert "No speech LLM is among the systems" not in text and text.count("are equivalent") == 1
    assert "None of this shows that a speech LLM and a cascade are equivalent" in text


ESTIMATE = st.tuples(st.floats(0.01, 1).map(lambda value: round(value, 2)), st.sampled_from([-1, 1]), st.booleans())


@given(estimates=st.lists(ESTIMATE, min_size=3, max_size=3), guesses=st.lists(st.booleans(), min_size=3, max_size=3))
@settings(deadline=None)
def test_a_contrast_is_said_to_be_shown_only_where_it_stays_so_after_correction(
    estimates: list[tuple[float, int, bool]], guesses: list[bool]
) -> None:
    rows = [
        {
            "contrast": "confound",
            "system": "talker",
            "first": "base-qwen",
            "second": "base-smol",
            "match_first": "exact",
            "match_second": "none",
            "task": task,
            "kappa_difference": sign * size,
            "kappa_difference_low": None,
            "kappa_difference_high": None,
            "agreements_differ": differ,
            "guesses": guess,
        }
        for task, (size, sign, differ), guess in zip(("ag_news", "sst2", "meld"), estimates, guesses, strict=True)
    ]
    text = contrast_sentence(pl.DataFrame(rows), SPEECH_OUTLINE)
    told = [row for row, guess in zip(rows, guesses, strict=True) if not guess]
    shown = [row["kappa_difference"] for row in told if row["agreements_differ"]]
    more, less = any(each > 0 for each in shown), any(each < 0 for each in shown)
    unclear = any(not row["agreements_differ"] for row in told)
    assert ("agrees more with base-qwen" in text) == more == ("would have understated" in text)
    assert ("agrees less with base-qwen" in text) == less
    assert ("does not prove that there is none" in text) == unclear
    assert ("is not read" in text) == (not told)
    for row, title in zip(rows, ("AG News", "SST-2", "MELD"), strict=True):
        assert (title in text) == (row in told)


def test_clips_say_what_a_speech_llm_heard(study: Study) -> None:
    found = browser_items(study.answers, study.transcripts, [], [], SPEECH_OUTLINE)
    assert {clip.task for clip in found.clips} == set(LABELS)
    for clip in found.clips:
        talker = clip.sides["talker"]
        assert talker.origin.startswith("Own transcription") and talker.heard == "heard as <b>"
        assert clip.sides["base-qwen"].origin == "Heard" and "as it was spoken" in clip.sides["talker-oracle"].origin
    alone = [path for path in study.transcripts if "talker-llm" not in path.parts]
    for clip in browser_items(study.answers, alone, [], [], SPEECH_OUTLINE).clips:
        assert (clip.sides["talker"].origin, clip.sides["talker"].heard) == ("Heard", BY_ITSELF)


def test_page_and_headline_hold_the_contrasts(study: Study, tables: Tables, tmp_path: Path) -> None:
    text = write_report(
        tmp_path / "report.html",
        title="t",
        tables=tables,
        figures=write_figures(tables, tmp_path),
        outline=SPEECH_OUTLINE,
        statistics=STATISTICS,
        items=browser_items(study.answers, study.transcripts, [], [], SPEECH_OUTLINE),
    ).read_text()
    assert 'href="#contrasts"' in text and "backbone confound" in text and "Own transcription" in text
    stream = io.StringIO()
    print_headline(tables, STATISTICS, stream)
    lines = stream.getvalue().splitlines()
    contrasts = lines[lines.index(next(line for line in lines if line.startswith("One system, two references"))) :]
    assert sum(" \N{MINUS SIGN} " in line and line.startswith("talker:") for line in contrasts) == len(LABELS)
    assert any("talker vs. base-smol" in line and " none " in line for line in lines)


def test_speech_llms_alone_need_no_transcripts(tmp_path: Path) -> None:
    systems = {name: SPEECH_SYSTEMS[name] for name in ("talker", "mumbler")}
    assert all(isinstance(spec, E2ESpec) for spec in systems.values())
    outline = Outline(systems, [], ["ag_news"])
    files = [save(answers_of(name, "ag_news", "clean"), tmp_path / name / "ag_news/clean.parquet") for name in systems]
    tables = build_tables(files, [], [], [], labels=LABELS, outline=outline, statistics=STATISTICS)
    assert [display.name for display in displays(tables, 0.95)] == ["accuracy", "costs"]
    assert "compared with no other system" in " ".join(verdict(tables, outline))


def test_a_pair_of_two_speech_llms_is_told_once(tmp_path: Path) -> None:
    pair = PairSpec(system="talker", reference="mumbler", label="two of them")
    systems = {name: SPEECH_SYSTEMS[name] for name in ("mumbler", "talker")}
    small = write_study(tmp_path, Outline(systems, [pair], list(LABELS)))
    text = " ".join(verdict(build(small), small.outline))
    assert text.count("(a speech LLM with another LLM)") == 1
    assert "On no task are both talker and mumbler (a speech LLM with another LLM) shown to be above chance" in text
