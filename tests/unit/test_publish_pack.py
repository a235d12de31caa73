"""A supplement can be checked and compared like the results, and holds no word of an item that is not ours to share."""

import io
import json
import re
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from checkout import REPOSITORY
from hypothesis import given
from hypothesis import strategies as st
from recorded_study import GOLD, OPTIONS, QUIZ, RESULTS, TEXTS, config, inside, job, make_study, write

from cascade_equivalence import plugins
from cascade_equivalence.config.mechanism import CurvedConfig
from cascade_equivalence.config.study import TaskSpec
from cascade_equivalence.errors import StudyError
from cascade_equivalence.identity import OF
from cascade_equivalence.mechanism.mlp_probes import Classes, probe_classes
from cascade_equivalence.models.question import Answer
from cascade_equivalence.models.recording import Recording
from cascade_equivalence.nodes.attributions import ARMS, TimedClip, write_attributions
from cascade_equivalence.nodes.conflict import Conflict, write_conflicts
from cascade_equivalence.provenance.cells import hashed
from cascade_equivalence.provenance.compare import compare
from cascade_equivalence.provenance.record import RECORDS, plugin_file, read_record
from cascade_equivalence.provenance.recording import RecordWriter
from cascade_equivalence.provenance.supplement import read_supplement
from cascade_equivalence.provenance.verify import verify
from cascade_equivalence.publish.pack import pack
from cascade_equivalence.publish.redact import ECHO, Echoes
from cascade_equivalence.tasks.base import Item

TOP = "made-up-supplement"


def names(file: Path) -> set[str]:
    with zipfile.ZipFile(file) as archive:
        return {name.removeprefix(f"{TOP}/") for name in archive.namelist()}


def unpack(file: Path, folder: Path) -> Path:
    with zipfile.ZipFile(file) as archive:
        archive.extractall(folder)
    return folder / TOP


def words(data: bytes, name: str) -> str:
    """Everything a file says, letters and digits only: a table's cells, a text's lines."""
    if name.endswith(".parquet"):
        text = json.dumps(pl.read_parquet(io.BytesIO(data)).to_dicts(), default=str)
    else:
        text = data.decode()
    return " ".join(re.findall(r"\w+", text.lower()))


def plain(text: str) -> str:
    return " ".join(re.findall(r"\w+", text.lower()))


def test_own_items_are_shared_with_the_report(tmp_path: Path) -> None:
    results = make_study(tmp_path / "project")
    packed = pack(results, tmp_path / "s.zip")
    found = names(packed.file)
    assert {"MANIFEST.json", "README.md", "ro-crate-metadata.json", "report.html", "tables/costs.csv"} <= found
    assert {"paper/table3.csv", "tables/shared_errors.md", "workflow/Snakefile"} <= found
    assert not {name for name in found if name.startswith(("speech/", "store/", "logs/", "states/"))}
    folder = unpack(packed.file, tmp_path)
    assert pl.read_parquet(folder / "tasks/sst2/items.parquet")["text"].to_list() == list(TEXTS)
    assert not packed.listed.altered and set(packed.listed.left_out) == {
        f"speech/{task}/us/clean.parquet" for task in ("sst2", "trivia_qa")
    }
    assert "own items" in packed.listed.licences["sst2"]


def test_no_file_says_what_a_published_item_says(tmp_path: Path) -> None:
    results = make_study(tmp_path / "project", published=True)
    packed = pack(results, tmp_path / "s.zip")
    secrets = [plain(text) for text in (*TEXTS, QUIZ, GOLD, OPTIONS[0])]
    with zipfile.ZipFile(packed.file) as archive:
        for name in archive.namelist():
            said = words(archive.read(name), name)
            assert not [secret for secret in secrets if secret in said], name
    # The test would find them: they are in the results.
    whole = [words(path.read_bytes(), path.name) for path in results.rglob("*") if path.is_file()]
    assert all(any(secret in said for said in whole) for secret in secrets)
    assert {"report.html", "paper/table3.csv", "tables/shared_errors.md"} <= set(packed.listed.left_out)
    assert "non-commercial" not in str(packed.listed.licences)
    assert packed.listed.licences == {
        "sst2": "none stated (see GLUE)",
        "trivia_qa": packed.listed.licences["trivia_qa"],
    }


def extra(folder: Path) -> list[Path]:
    """What experiments write that hold items' words, and what nobody has thought of yet."""
    item = Item("sst2-0", TEXTS[0], "negative", "sst2-0")
    said, labels = item.text.split(), {"negative": 1.0, "positive": 0.0}
    answer = Answer("negative", "", 1, 1, 0.1, labels)
    clip = TimedClip(item, Recording("", 1.0, lambda: np.zeros(1)), item.text, [(0.0, 1.0)] * len(said), item.text)
    attributions = folder / "attributions/m/sst2.parquet"
    write_attributions("m", "sst2", [clip], {arm: [[answer] * (1 + len(said))] for arm in ARMS}, [], attributions)
    conflict = folder / "conflict/first/sst2.parquet"
    repeats = Answer(f"It says: {TEXTS[1]}", "", 1, 1, 0.1, labels)
    spec = TaskSpec(prompt="{speech}", label_words={"negative": "bad", "positive": "good"})
    pair = Conflict(0, item, Item("sst2-1", TEXTS[1], "positive", "sst2-1"), "c")
    write_conflicts(
        "sst2", spec, "generate", [pair], [repeats], [repeats], conflict, {"system": "first", "task": "sst2"}
    )
    rows = [TEXTS[number % 3] + f" {number // 3}" for number in range(60)]
    rng = np.random.default_rng(0)
    classes = Classes(rng.integers(0, 2, 60), ("a", "b"), np.zeros(60, dtype=int))
    probed = probe_classes(rng.standard_normal((60, 3)), classes, rows, CurvedConfig(folds=2, shuffles=1, epochs=2))
    examples = [{"text": text, "nearest": f"{text} of"} for text in (*TEXTS, "short one")]
    shown = " | ".join(text for each in examples for text in each.values())
    return [
        attributions,
        conflict,
        write(folder / "curved/m/layer0.json", {OF: {"model": "m"}, "targets": {"voice": probed}}),
        write(
            folder / "similarity/m.json", {OF: {"model": "m"}, "layers": {"0": {"nearest": 1}}, "examples": examples}
        ),
        write(folder / "tables/similarity.csv", pl.DataFrame({"model": ["m"], "cka": [0.5], "examples": [shown]})),
        write(folder / "tables/similarity.md", f"m: {shown}."),
        write(folder / "tables/similarity.tex", f"m: {shown}."),
        write(folder / "later/m.json", {"deep": [{"er": [QUIZ]}, {f"Of {TEXTS[2]}": 1}, 0.25]}),
        write(folder / "later/m.parquet", pl.DataFrame({"new": [f"so {TEXTS[0]} it said"], "more": [[TEXTS[1]]]})),
        write(folder / "tables/later.csv", pl.DataFrame({"sentence": [f"Of {QUIZ}."], "share": [0.5]})),
        write(folder / "tables/later.md", f"| {TEXTS[1]} | 3 |"),
        write(folder / "figures/later.svg", f"<text>{QUIZ}</text>"),
    ]


def test_no_output_that_holds_an_items_text_is_handed_out(tmp_path: Path) -> None:
    results = make_study(tmp_path / "project", published=True)
    with inside(tmp_path / "project"):
        made = extra(RESULTS)
        RecordWriter().write(job("later", "later", [], made), config(published=True))
    packed = pack(results, tmp_path / "s.zip")
    secrets = [plain(text) for text in (*TEXTS, QUIZ, "short one")]
    held = names(packed.file)
    with zipfile.ZipFile(packed.file) as archive:
        for name in archive.namelist():
            said = words(archive.read(name), name)
            assert not [secret for secret in secrets if secret in said], name
    folder = unpack(packed.file, tmp_path)
    # Nor can a text be put together from its words.
    table = pl.read_parquet(folder / "attributions/m/sst2.parquet")
    texts = [" ".join(table[name].to_list()) for name, kind in table.schema.items() if kind == pl.String]
    assert table.height == len(TEXTS[0].split()) and not [each for each in texts if plain(TEXTS[0]) in plain(each)]
    assert not {hashed(word) for word in TEXTS[0].split()} & {each for text in texts for each in text.split()}
    # The rest of what holds a text stays: numbers are what a supplement is for.
    for name in ("curved/m/layer0.json", "similarity/m.json", "later/m.json", "tables/later.csv"):
        assert name in held, name
    assert json.loads((folder / "similarity/m.json").read_text())["layers"] == {"0": {"nearest": 1}}
    assert pl.read_csv(folder / "tables/similarity.csv")["cka"].to_list() == [0.5]
    assert {"tables/later.md", "figures/later.svg", "tables/similarity.tex"} <= set(packed.listed.left_out)
    # Not even before it is packed does a probe's file hold the texts that it was judged on.
    assert not any(plain(text) in words((results / "curved/m/layer0.json").read_bytes(), "") for text in TEXTS)
    assert verify(folder).ok
    assert not [each for each in compare(results, folder).tally.differences if each.what.startswith("examples")]


def test_answers_stay_unless_they_quote_an_item(tmp_path: Path) -> None:
    results = make_study(tmp_path / "project", published=True)
    folder = unpack(pack(results, tmp_path / "s.zip").file, tmp_path)
    before, after = (pl.read_parquet(each / "answers/first/sst2/clean.parquet") for each in (results, folder))
    assert after.drop("raw").equals(before.drop("raw"))
    assert after["raw"].to_list() == [hashed(before["raw"][0]), *before["raw"].to_list()[1:]]
    # Open answers have no label set: the gold label is the set's own words.
    assert set(pl.read_parquet(folder / "answers/first/trivia_qa/clean.parquet")["label"]) == {hashed(GOLD)}
    assert set(pl.read_csv(folder / "tables/shared_errors.csv")["gold"]) == {"negative", hashed(GOLD)}


@pytest.mark.parametrize("published", [False, True])
def test_a_supplement_is_as_recorded_and_equal_to_its_results(tmp_path: Path, published: bool) -> None:
    results = make_study(tmp_path / "project", published=published)
    folder = unpack(pack(results, tmp_path / "s.zip").file, tmp_path)
    verification = verify(folder)
    assert verification.ok, verification.text()
    assert verification.left_out
    for a, b in ((results, folder), (folder, results)):
        comparison = compare(a, b)
        assert comparison.equal, comparison.text()
        assert comparison.left_out == (["paper/table3.csv"] if published else [])


def test_the_code_of_plugins_is_recorded_as_it_ran_and_packed(tmp_path: Path) -> None:
    project = tmp_path / "project"
    results = make_study(project)
    text = (REPOSITORY / "docs/plugins/noise.py").read_bytes()
    mine = write(project / "mine" / "noise.py", text)
    with inside(project):
        study = config(plugins=["mine/noise.py"])
        made = RESULTS / "figures/mine.svg"
        node, recording = job("draw_figures", "mine", [], [made]), RecordWriter()
        try:
            recording.begin(node, study)
            mine.write_text("# changed meanwhile")
            write(made, "<svg/>")
            recording.write(node, study)
        finally:
            plugins.use([])
    (use,) = read_record(results / RECORDS / "mine.json").plugins
    assert (use.place, use.path) == ("project", "mine/noise.py")
    shutil.rmtree(project / "mine")
    assert verify(results).ok
    folder = unpack(pack(results, tmp_path / "s.zip").file, tmp_path)
    assert plugin_file(folder, use).read_bytes() == text
    name = plugin_file(Path(), use).as_posix()
    crate = json.loads((folder / "ro-crate-metadata.json").read_text())
    assert name in {entity["@id"] for entity in crate["@graph"]}
    assert name in (folder / "README.md").read_text() and "mine/noise.py" in (folder / "README.md").read_text()
    assert verify(folder).ok
    plugin_file(folder, use).write_text("meddled")
    assert name in {finding.path for finding in verify(folder).findings}


@pytest.mark.parametrize("published", [False, True])
def test_the_task_of_a_plugin_that_is_not_at_hand_is_packed_and_its_items_are_not_called_the_projects(
    tmp_path: Path, published: bool
) -> None:
    results = make_study(tmp_path / "project", published=published)
    with inside(tmp_path / "project"):
        made = write(
            RESULTS / "tasks/parity/items.parquet", pl.DataFrame({"id": ["a"], "text": ["two"], "label": "even"})
        )
        RecordWriter().write(job("prepare_items", "prepare_items/parity", [], [made], {"task": "parity"}), config())
    packed = pack(results, tmp_path / "s.zip")
    assert "parity" in packed.listed.licences
    assert packed.listed.licences["parity"] != packed.listed.licences["sst2"] != ""
    assert "Apache" not in packed.listed.licences["parity"] and verify(unpack(packed.file, tmp_path)).ok


def test_a_supplement_that_was_meddled_with_is_found_out(tmp_path: Path) -> None:
    results = make_study(tmp_path / "project", published=True)
    folder = unpack(pack(results, tmp_path / "s.zip").file, tmp_path)
    listed = read_supplement(folder)
    assert listed is not None
    for path in sorted(listed.files):
        if path.startswith("workflow/"):
            continue
        kept = (folder / path).read_bytes()
        (folder / path).write_bytes(kept + b"\n")
        assert path in {finding.path for finding in verify(folder).findings}, path
        (folder / path).unlink()
        if not path.startswith("records/") or path.count("/") > 1:
            assert path in {finding.path for finding in verify(folder).findings}, path
        (folder / path).write_bytes(kept)
    (folder / "MANIFEST.json").write_text("{")
    with pytest.raises(StudyError, match="damaged"):
        verify(folder)


def test_the_same_results_give_the_same_bytes(tmp_path: Path) -> None:
    results = make_study(tmp_path / "project", published=True)
    first = pack(results, tmp_path / "one.zip").file.read_bytes()
    for path in results.rglob("*"):
        path.touch()
    moved = shutil.copytree(tmp_path / "project", tmp_path / "elsewhere") / results.relative_to(tmp_path / "project")
    assert pack(moved, tmp_path / "two.zip").file.read_bytes() == first
    with zipfile.ZipFile(tmp_path / "one.zip") as archive:
        infos = archive.infolist()
    assert [info.filename for info in infos] == sorted(info.filename for info in infos)
    assert {info.date_time for info in infos} == {(1980, 1, 1, 0, 0, 0)}
    assert not [info.filename for info in infos if info.filename.startswith("/") or ".." in info.filename]


def test_what_is_not_as_recorded_is_packed_only_by_force(tmp_path: Path, command: Callable[..., int]) -> None:
    results = make_study(tmp_path / "project")
    write(results / "tables/accuracy.csv", "system,accuracy\nfirst,1\n")
    with pytest.raises(StudyError, match=r"not as recorded \(1 changed, 1 stale\).*--force"):
        pack(results, tmp_path / "s.zip")
    assert not (tmp_path / "s.zip").exists()
    assert command("pack", results, "-o", tmp_path / "s.zip", "--force") == 0
    found = {(finding.kind, finding.path) for finding in verify(unpack(tmp_path / "s.zip", tmp_path)).findings}
    assert found == {("changed", "tables/accuracy.csv"), ("stale", "report.html")}


def test_the_report_of_published_items_is_included_only_when_asked_for(tmp_path: Path) -> None:
    results = make_study(tmp_path / "project", published=True)
    packed = pack(results, tmp_path / "s.zip", include_report=True)
    assert "report.html" in names(packed.file) and "report.html" not in packed.listed.left_out
    assert "mind their licences" in (unpack(packed.file, tmp_path) / "README.md").read_text()


def test_the_readme_names_licences_models_and_both_commands(tmp_path: Path) -> None:
    results = make_study(tmp_path / "project", published=True)
    text = (unpack(pack(results, tmp_path / "s.zip").file, tmp_path) / "README.md").read_text()
    for said in ("sst2: none stated", "llama-a: MIT", "cascade-equivalence verify", "cascade-equivalence compare"):
        assert said in text


@given(
    item=st.lists(st.sampled_from("abcdefgh"), min_size=0, max_size=9),
    answer=st.lists(st.sampled_from("abcdefgh"), max_size=9),
)
def test_an_answer_is_a_quotation_from_five_words_in_a_row_on(item: list[str], answer: list[str]) -> None:
    text = " ".join(answer)
    quoted = any(
        answer[i : i + ECHO] == item[j : j + ECHO]
        for i in range(len(answer) - ECHO + 1)
        for j in range(len(item) - ECHO + 1)
    )
    assert Echoes([" ".join(item)]).hides(text.upper()) == (hashed(text.upper()) if quoted else text.upper())
