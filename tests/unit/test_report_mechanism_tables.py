"""The tables on the inside of opened models: nothing lost, every control joined, every number that of the files."""

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from report_mechanism_study import (
    EARS,
    MATCHED,
    RANKS,
    SPEAKERS,
    TASKS,
    UTTERANCES,
    World,
    write_behaviour,
    write_mechanism,
)
from report_study import IMPLICIT_OUTLINE, LABELS, STATISTICS, Study, build
from scipy import stats

from cascade_equivalence.errors import StudyError
from cascade_equivalence.identity import about, names_in, write_table
from cascade_equivalence.report import mechanism_schemas
from cascade_equivalence.report.erasure_frame import erasure_tables
from cascade_equivalence.report.mechanism_frames import erasers_table, lens_table
from cascade_equivalence.report.mechanism_names import Layer, MechanismFiles
from cascade_equivalence.report.probe_frame import probes_table
from cascade_equivalence.report.sufficiency_frame import sufficiency_table
from cascade_equivalence.report.table import TABLES
from cascade_equivalence.report.tables import Tables, displays, write_markdown
from cascade_equivalence.report.verdict_mechanism import findings

ENDS = ("", "_low", "_high")
WORLD = World(draws=20)
INSIDE = {
    name for name, table in TABLES.items() if any(table.schema is each for each in vars(mechanism_schemas).values())
}
"""Tables on the inside of opened models."""


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Study:
    """What systems answered."""
    return write_behaviour(tmp_path_factory.mktemp("study"))


@pytest.fixture(scope="module")
def files(study: Study) -> MechanismFiles:
    """What was found inside the models."""
    return write_mechanism(study.root, WORLD, TASKS[::2])


@pytest.fixture(scope="module")
def tables(study: Study, files: MechanismFiles) -> Tables:
    """The tables of both."""
    return build(study, mechanism=files)


def layer_of(path: Path) -> Layer:
    return Layer(*about(path, Layer._fields))


def path_of(files: MechanismFiles, place: Layer, other: str) -> Path:
    """File of the first layer, or of the untrained twin."""
    wanted = place._replace(layer=0) if other == "first" else place._replace(untrained=True)
    (found,) = [path for path in files.probes if layer_of(path) == wanted]
    return found


def test_every_probe_stands_beside_its_controls(files: MechanismFiles, tables: Tables) -> None:
    rows = {(row["model"], row["untrained"], row["layer"], row["probe"]): row for row in tables.probes.rows(named=True)}
    assert len(rows) == tables.probes.height == 4 * len(files.probes)
    for path in files.probes:
        place, found = layer_of(path), json.loads(path.read_text())
        for probe in ("energy", "pitch", "boc", "ctc"):
            row, value = (
                rows[place.model, place.untrained, place.layer, probe],
                found[probe].get("r2", found[probe].get("decodability")),
            )
            assert row["value"] == pytest.approx(value) and row["value_low"] < value < row["value_high"]
            assert row["selectivity"] == pytest.approx(value - np.mean(found[probe]["shuffled"]))
            assert row["shuffled_highest"] == np.max(found[probe]["shuffled"])
            twin, first = (rows[place.model, True, place.layer, probe], rows[place.model, place.untrained, 0, probe])
            for end in ENDS:
                assert row[f"untrained_value{end}"] == (None if place.untrained else twin[f"value{end}"])
                assert row[f"first_value{end}"] == first[f"value{end}"]
            for name, other in (("first", None if place.layer == 0 else first), ("untrained", twin)):
                if other is None or (name == "untrained" and place.untrained):
                    assert row[f"difference_{name}"] is None
                    continue
                ends = [row[f"difference_{name}{end}"] for end in ("_low", "", "_high")]
                assert ends == sorted(ends) and ends[1] == pytest.approx(row["value"] - other["value"])
                if probe == "boc":
                    mine, theirs = (
                        np.array(json.loads(at.read_text())[probe]["by_item"]["missed"])
                        for at in (path, path_of(files, place, name))
                    )
                    gap = theirs - mine
                    count = len(gap)
                    freedom = 2 * count / (stats.kurtosis(gap, fisher=False) - (count - 3) / (count - 1)) - 1
                    reach = stats.t.ppf(0.975, min(freedom, count - 1)) * gap.std(ddof=1) / np.sqrt(count)
                    assert [ends[0], ends[2]] == pytest.approx([gap.mean() - reach, gap.mean() + reach])
    assert tables.probes["model"].unique(maintain_order=True).to_list() == [*SPEAKERS, *EARS]


def test_the_lens_is_compared_utterance_by_utterance(files: MechanismFiles, tables: Tables) -> None:
    assert tables.lens.height == len(files.lens)
    for row, path in zip(tables.lens.rows(named=True), files.lens, strict=True):
        shown, first = pl.read_parquet(path), pl.read_parquet(path.with_name("layer0.parquet"))
        assert (row["model"], row["layer"]) == about(path, ("model", "layer"))
        assert row["precision"] == pytest.approx(shown["precision"].mean())
        assert row["above_chance"] == pytest.approx((shown["precision"] - shown["chance_precision"]).mean())
        assert row["without_tokens"] == shown["precision"].null_count()
        gain = (shown["precision"] - first["precision"]).mean()
        assert row["gain"] == (None if row["layer"] == 0 else pytest.approx(gain))
        assert row["precision_low"] <= row["precision"] <= row["precision_high"] and row["tuned_precision"] is None


@pytest.mark.parametrize("voices", [2, 5])
def test_a_second_voice_of_the_same_readings_moves_nothing_and_narrows_nothing(
    files: MechanismFiles, tmp_path: Path, voices: int
) -> None:
    table = pl.read_parquet(files.lens[1])
    more = pl.concat([table] * voices).with_columns(utterance=pl.int_range(pl.len(), dtype=pl.Int64))
    write_table(more, tmp_path / "more.parquet", names_in(files.lens[1]))
    once, again = (
        lens_table([path], STATISTICS).row(0, named=True) for path in (files.lens[1], tmp_path / "more.parquet")
    )
    assert again["utterances"] == voices * once["utterances"]
    for name in ("precision", "recall", "chance_precision", "chance_recall", "above_chance"):
        assert again[name] == pytest.approx(once[name])
        for end in ("_low", "_high"):
            assert again[name + end] == pytest.approx(once[name + end], abs=1e-9), name


def test_a_tuned_lens_has_columns_of_its_own(files: MechanismFiles, tmp_path: Path) -> None:
    path = tmp_path / "talker-llm/layer0.parquet"
    path.parent.mkdir()
    tested = pl.col("utterance") % 5 == 0
    table = pl.read_parquet(files.lens[0]).with_columns(
        pl.when(tested).then(pl.lit(value)).alias(f"tuned_{name}")
        for name, value in {"precision": 0.5, "recall": 0.25, "text": ""}.items()
    )
    write_table(table, path, names_in(files.lens[0]))
    row = lens_table([path], STATISTICS).row(0, named=True)
    assert (row["tuned_precision"], row["tuned_recall"], row["tuned_utterances"]) == (0.5, 0.25, UTTERANCES // 5)
    # What it gains is told of the same utterances, not of all.
    same = table.filter(tested)["precision"].drop_nulls()
    assert row["tuned_gain"] == pytest.approx(0.5 - same.mean()) and row["precision"] != pytest.approx(same.mean())
    shown = TABLES["lens"].shown(Tables(lens=lens_table([path], STATISTICS)), 0.95)
    assert f"{UTTERANCES // 5} test utterances" in " ".join(shown.remarks) and shown.rows[0][4] == "0.500"


def test_kappas_of_implicit_cascades_are_those_of_the_pairs(tables: Tables) -> None:
    found = tables.sufficiency
    talker = found.filter(system="talker")
    # An oracle and the model's own transcription have the same LLM, but read no ASR's transcript.
    assert set(talker["explicit"]) == {"base-qwen"} and talker["task"].to_list() == IMPLICIT_OUTLINE.ordered_tasks()
    for row in talker.rows(named=True):
        for arm in ("implicit", "explicit"):
            pair = tables.agreement.filter(system="talker", reference=row[arm], task=row["task"]).row(0, named=True)
            assert [row[f"kappa_{arm}{end}"] for end in ENDS] == [pair[f"kappa{end}"] for end in ENDS]
        for arm in ("system", "implicit", "explicit"):
            own = tables.accuracy.filter(system=row[arm], task=row["task"]).row(0, named=True)
            assert row[f"{arm}_accuracy"] == own["accuracy"]
        if row["kappa_difference"] is None:
            assert "one and the same answer" in row["reason"]
        else:
            assert row["kappa_difference"] == pytest.approx(row["kappa_implicit"] - row["kappa_explicit"])
            assert row["kappa_difference_low"] <= row["kappa_difference"] <= row["kappa_difference_high"]
    assert talker["paired"].all()
    mumbler = found.filter(system="mumbler").rows(named=True)
    assert len(mumbler) == len(LABELS) and {row["explicit"] for row in mumbler} == {"base-smol"}
    assert all("does not compare mumbler with mumbler-implicit" in row["reason"] for row in mumbler)


def test_a_contrast_may_be_asked_either_way_round_or_not_at_all(tables: Tables) -> None:
    def made(contrasts: pl.DataFrame) -> list[dict]:
        table = sufficiency_table(tables.accuracy, tables.agreement, contrasts, IMPLICIT_OUTLINE)
        return table.filter(system="talker", task="ag_news").rows(named=True)

    asked = tables.contrasts.filter(second="talker-implicit")
    low, high = pl.col("kappa_difference_low"), pl.col("kappa_difference_high")
    turned = asked.with_columns(
        first="second",
        second="first",
        kappa_difference=-pl.col("kappa_difference"),
        kappa_difference_low=-high,
        kappa_difference_high=-low,
    )
    assert asked.height and made(asked) == made(turned)
    (paired,), (apart,) = made(asked), made(asked.clear())
    assert paired["paired"] and not apart["paired"]
    assert apart["kappa_difference_low"] < paired["kappa_difference_low"]
    assert apart["kappa_difference_high"] > paired["kappa_difference_high"]


def test_erasers_are_summed_up_layer_by_layer(files: MechanismFiles, tables: Tables) -> None:
    controls = len(WORLD.controls) * len(MATCHED) * len(SPEAKERS)
    assert tables.erasers.height == (len(files.erasers) + controls) * len(WORLD.layers)
    for concept in MATCHED:
        own, row = (
            tables.erasers.filter(
                pl.col("control").eq_missing(control), model="talker-llm", concept=concept, layer=4
            ).row(0, named=True)
            for control in (None, "random")
        )
        assert row["rank"] == own["rank"] == RANKS[concept] and row["probe_before"] == own["probe_before"]
        assert (row["probe_after"], row["text_before"]) == (0.4, 0.3) and own["probe_after"] == 0
        assert row["removed_variance_lowest"] == row["removed_variance_highest"] == 0.1 and row["shrinkage"] is None
    assert set(tables.erasers.filter(concept="permuted")["control"]) == {None}


def test_erased_accuracies_are_those_of_the_files(files: MechanismFiles, tables: Tables) -> None:
    keys = ["arm", "variant"]
    rows = {
        (row["model"], row["concept"], row["task"], row["arm"], row["variant"]): row
        for row in tables.erasure.rows(named=True)
    }
    total = 0
    for path in files.erasure:
        model, concept, task = path.parts[-3], path.parts[-2], path.stem
        base = pl.read_parquet(path.parents[1] / "none" / path.name)
        for (arm, variant), part in pl.read_parquet(path).group_by(keys):
            total += 1
            row = rows[model, concept, task, arm, variant]
            before = base.filter(arm=arm)
            assert row["accuracy"] == pytest.approx(part["correct"].mean()) and row["rows"] == WORLD.clips
            assert row["parse_rate"] == pytest.approx((part["parsed"] != "invalid").mean())
            assert row["kl"] == pytest.approx(part["kl"].mean())
            unseen = part.filter(~pl.col("seen"))["correct"].mean()
            assert row["unseen_accuracy"] == pytest.approx(unseen) and row["seen_rows"] == WORLD.clips // 4
            change = None if concept == "none" else pytest.approx(part["correct"].mean() - before["correct"].mean())
            assert row["accuracy_change"] == change
            assert (row["accuracy_low"] is None) == str(variant).startswith(WORLD.controls)
            if LABELS[task]:
                assert row["forced_accuracy"] == pytest.approx(part["forced_correct"].mean())
            else:
                assert row["forced_accuracy"] is None and row["chance"] is None and "label set" in row["reason"]
    assert total == tables.erasure.height


def test_controls_are_a_null_by_brute_force(files: MechanismFiles, tables: Tables) -> None:
    folder = files.erasure[0].parents[2]
    checked = 0
    for row in tables.erasure_controls.filter(measure="accuracy").rows(named=True):
        here = {"arm": row["arm"]}
        mine = pl.read_parquet(folder / row["model"] / row["concept"] / f"{row['task']}.parquet")
        mine = mine.filter(**here, variant=row["variant"])["correct"].mean()
        assert row["value"] == pytest.approx(mine)
        if row["control"] in ("text", "boc"):
            continue
        shuffled = row["control"] == "permuted"
        # A drawn control is its concept's own.
        whose, start = ("permuted", row["variant"]) if shuffled else (row["concept"], row["control"])
        other = pl.read_parquet(folder / row["model"] / whose / f"{row['task']}.parquet").filter(**here)
        other = other.filter(pl.col("variant").str.starts_with(start))
        drawn = [part["correct"].mean() for _, part in other.group_by("variant")]
        assert len(drawn) == (1 if shuffled else WORLD.draws)
        as_low = sum(level <= mine for level in drawn)
        assert (row["draws"], row["at_or_below"]) == (len(drawn), as_low)
        assert row["p"] == pytest.approx((as_low + 1) / (len(drawn) + 1))
        assert row["control_mean"] == pytest.approx(np.mean(drawn))
        assert row["difference"] == pytest.approx(mine - np.mean(drawn))
        checked += 1
    # Two drawn controls of four concepts from audio, the first word's shuffled labels from both; two variants, two
    # models, two tasks.
    assert checked == (4 * 2 + 2) * 2 * 2 * 2


def test_two_concepts_are_compared_item_by_item_and_between_models(tables: Tables) -> None:
    levels = {
        (row["model"], row["task"], row["concept"], row["variant"], row["arm"]): row["accuracy"]
        for row in tables.erasure.rows(named=True)
    }
    found = tables.erasure_controls.filter(control="boc", measure="accuracy")
    # Two models, two tasks, two variants, two arms; each model alone and against the other one.
    assert found.height == 2 * 2 * 2 * 2 * 2 and found["p"].null_count() == found.height

    def gap(model: str, row: dict[str, Any]) -> float:
        place = row["variant"], row["arm"]
        return float(levels[model, row["task"], "ctc", *place] - levels[model, row["task"], "boc", *place])

    for row in found.rows(named=True):
        own, other = gap(row["model"], row), 0.0 if row["other_model"] is None else gap(row["other_model"], row)
        assert row["concept"] == "ctc" and row["difference"] == pytest.approx(own - other)
        assert row["difference_low"] <= row["difference"] <= row["difference_high"]


def test_hearing_is_set_against_reading(tables: Tables) -> None:
    changes = {
        (row["model"], row["task"], row["concept"], row["variant"], row["arm"]): row["accuracy_change"]
        for row in tables.erasure.rows(named=True)
    }
    found = tables.erasure_controls.filter(control="text", measure="accuracy")
    assert found.height == 5 * 2 * 2 * 2 and found["p"].null_count() == found.height
    for row in found.rows(named=True):
        key = row["model"], row["task"], row["concept"], row["variant"]
        assert row["difference"] == pytest.approx(changes[*key, "audio"] - changes[*key, "text"])


def test_tables_come_back_from_csv_and_go_with_their_models(study: Study, tables: Tables, tmp_path: Path) -> None:
    tables.write(tmp_path)
    write_markdown(tables, tmp_path, 0.95)
    for name, table in Tables.read(tmp_path).items():
        assert table.equals(tables[name]), name
    for name in INSIDE:
        text = (tmp_path / f"{name}.md").read_text()
        assert text.startswith("## ") and "nan" not in text.lower().replace("nano", ""), name
    closed = build(study, agreement_files=[], contrast_files=[])
    closed = closed.changed(sufficiency=closed.sufficiency.clear())
    closed.write(tmp_path)
    write_markdown(closed, tmp_path, 0.95)
    assert not [name for name in INSIDE if list(tmp_path.glob(f"{name}.*"))]
    shown = {display.name for display in displays(closed, 0.95)}
    assert shown and not shown & INSIDE and findings(closed, STATISTICS) == []
    closed.write(tmp_path, ["lens"])
    write_markdown(closed, tmp_path, 0.95, ["lens"])
    assert [path.name for path in sorted(tmp_path.glob("lens.*"))] == ["lens.csv", "lens.md"]
    assert Tables.read(tmp_path).lens.equals(closed.lens)


def test_ears_alone_have_probes_and_nothing_else(study: Study, files: MechanismFiles) -> None:
    ears = MechanismFiles(probes=[path for path in files.probes if "base" in path.parts[-2]])
    tables = build(study, mechanism=ears)
    tables = tables.changed(sufficiency=tables.sufficiency.clear())
    assert {display.name for display in displays(tables, 0.95)} & INSIDE == {"probes"}
    assert {finding.claim.level for finding in findings(tables, STATISTICS)} == {"Probes"}


def test_what_could_not_be_measured_is_null_with_its_reason(files: MechanismFiles, tmp_path: Path) -> None:
    paths = []
    for path in files.probes[:2]:
        found = json.loads(path.read_text())
        found["pitch"] |= dict.fromkeys(("r2", "low", "high", "selectivity"))
        found["pitch"] |= {"shuffled": [], "reason": "no clip is voiced"}
        found["ctc"] |= {"decodability": math.nan, "low": None, "high": None, "shuffled": None, "prior": None}
        paths.append(tmp_path / path.parts[-2] / path.name)
        paths[-1].parent.mkdir(exist_ok=True)
        paths[-1].write_text(json.dumps(found))
    table = probes_table(paths, STATISTICS)
    for row in table.filter(pl.col("probe").is_in(["pitch", "ctc"])).rows(named=True):
        assert row["value"] is row["selectivity"] is row["shuffled"] is None and row["shuffles"] == 0
    assert set(table.filter(probe="pitch")["reason"]) == {"no clip is voiced"}
    shown = TABLES["probes"].shown(Tables(probes=table), 0.95)
    assert any("n/a" in cell for row in shown.rows for cell in row)
    assert any("no clip is voiced" in remark for remark in shown.remarks)


def test_files_that_do_not_fit_are_refused(files: MechanismFiles, tmp_path: Path) -> None:
    twin = tmp_path / "again" / files.probes[0].parts[-2] / files.probes[0].name
    twin.parent.mkdir(parents=True)
    twin.write_text(files.probes[0].read_text())
    with pytest.raises(StudyError, match="about the same model"):
        probes_table([files.probes[0], twin], STATISTICS)
    twin.write_text("{")
    with pytest.raises(StudyError, match="cannot be read"):
        probes_table([twin], STATISTICS)
    twin.write_text(json.dumps({"of": names_in(files.probes[0]), "width": 3}))
    with pytest.raises(StudyError, match="lacks 'energy'"):
        probes_table([twin], STATISTICS)
    found = json.loads(files.probes[0].read_text())
    found["energy"]["by_item"]["items"][0] = "sst2/another"
    found["of"]["layer"] = 99
    twin.write_text(json.dumps(found))
    with pytest.raises(StudyError, match="judged on other items"):
        probes_table([files.probes[0], twin], STATISTICS)
    summary = tmp_path / "talker-llm/boc/summary.json"
    summary.parent.mkdir(parents=True)
    summary.write_text(json.dumps({"of": names_in(files.erasers[0]), "layers": {"0": {}}}))
    with pytest.raises(StudyError, match="lacks 'rank'"):
        erasers_table([summary])
    short = tmp_path / "talker-llm/layer8.parquet"
    write_table(pl.read_parquet(files.lens[1]).head(9), short, names_in(files.lens[1]))
    with pytest.raises(StudyError, match="other utterances"):
        lens_table([files.lens[0], short], STATISTICS)
    with pytest.raises(StudyError, match="but not with nothing erased"):
        erasure_tables([path for path in files.erasure if "none" not in path.parts], LABELS, STATISTICS)
    with pytest.raises(StudyError, match="not part of this study"):
        erasure_tables(files.erasure, {}, STATISTICS)


def test_tables_do_not_depend_on_the_order_of_files(study: Study, files: MechanismFiles, tables: Tables) -> None:
    def turned(paths: list[Path]) -> list[Path]:
        return sorted(paths, key=lambda path: (*map(path.as_posix().find, EARS[::-1]), path.as_posix()), reverse=True)

    models = {name: place for place, name in enumerate(tables.probes["model"].unique(maintain_order=True))}
    mixed = MechanismFiles(**{name: turned(list(paths)) for name, paths in vars(files).items()})
    again = build(study, mechanism=mixed)
    for name in ("probes", "lens", "erasers", "erasure", "erasure_controls"):
        table, other = tables[name], again[name]
        assert table.equals(other.sort(pl.col("model").replace_strict(models), maintain_order=True)), name
