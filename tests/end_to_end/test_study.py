"""A whole study: every target is there, and its numbers are those that a few independent lines find."""

import html.parser
import json
import re
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import polars as pl
import pytest
from checkout import Checkout, tiny_config
from report_numbers import contradictions, zero_widths

from cascade_equivalence import stages
from cascade_equivalence.config.load import load_study
from cascade_equivalence.models.sources.wheels import default_cache
from cascade_equivalence.stages.study import Study

TINY = Path("results/tiny")


@pytest.fixture(scope="module")
def results(finished: Checkout) -> Path:
    return finished.root / TINY


@pytest.fixture(scope="module")
def study(finished: Checkout, tiny_models: Path) -> Study:
    return Study(load_study(tiny_config(tiny_models), finished.root))


def read(results: Path, table: str) -> pl.DataFrame:
    return pl.read_csv(results / "tables" / f"{table}.csv", infer_schema_length=None)


def answers(results: Path, system: str, task: str, condition: str) -> pl.DataFrame:
    return pl.read_parquet(results / "answers" / system / task / f"{condition}.parquet")


def test_every_target_is_there_with_its_log_and_its_benchmark(finished: Checkout, study: Study) -> None:
    made = [
        stages.speech.all_files(study),
        stages.transcribe.all_files(study),
        stages.answer.all_files(study),
        stages.agree.all_files(study),
    ]
    files = [
        *stages.report.targets(study),
        *stages.resolve.all_manifests(study),
        *(path for stage in made for path in stage),
    ]
    assert len(set(files)) == len(files) > 30
    for path in files:
        assert (finished.root / path).stat().st_size > 0
    # Other studies of the same checkout have results of their own, and share the models.
    for kind, ending in (("logs", "log"), ("benchmarks", "tsv")):
        models = {path.stem for path in finished.root.glob(f"results/models/{kind}/*.{ending}")}
        assert models >= {"llama-a", "whisper-a", "whisper-b"}
        # Tasks, clean and noisy speech, transcripts, answers, comparisons, and the four nodes at the end.
        assert len([*finished.root.glob(f"results/tiny/{kind}/**/*.{ending}")]) == 2 + 4 + 1 + 6 + 6 + 3 + 4


def test_the_models_leave_something_to_compare(results: Path) -> None:
    # Were all answers alike, most of what follows could not fail.
    first, second = (answers(results, system, "ag_news", "clean") for system in ("first", "second"))
    assert max(table["parsed"].n_unique() for table in (first, second)) >= 2
    for table in (first, second):
        assert 0 < table["correct"].sum() < table.height
    assert first["parsed"].to_list() != second["parsed"].to_list()


def test_accuracies_agree_with_the_answers(results: Path) -> None:
    table = read(results, "accuracy")
    assert table.height == 4
    for row in table.iter_rows(named=True):
        given = answers(results, row["system"], row["task"], row["condition"])
        right = [parsed == label for parsed, label in given.select("parsed", "label").iter_rows()]
        assert row["rows"] == len(right)
        assert row["accuracy"] == pytest.approx(sum(right) / len(right))
        assert row["parse_rate"] == pytest.approx((given["parsed"] != "invalid").mean())


def test_kappas_agree_with_scikit_learn(results: Path) -> None:
    from sklearn.metrics import cohen_kappa_score

    table = read(results, "agreement")
    assert table.height == 3
    for row in table.iter_rows(named=True):
        sides = [answers(results, row[side], row["task"], row["condition"]) for side in ("system", "reference")]
        joined = sides[0].join(sides[1], on=["id", "voice"], suffix="_reference", validate="1:1")
        assert joined.height == sides[0].height == row["rows"]
        expected = cohen_kappa_score(joined["parsed"].to_list(), joined["parsed_reference"].to_list())
        assert row["kappa"] == pytest.approx(expected)
        assert row["observed_agreement"] == pytest.approx((joined["parsed"] == joined["parsed_reference"]).mean())


def test_word_error_rates_agree_with_the_transcripts(results: Path) -> None:
    from jiwer import wer
    from whisper.normalizers import EnglishTextNormalizer

    plain = EnglishTextNormalizer()
    table = read(results, "transcription").filter(pl.col("voice") == "us")
    assert table.height == 6
    for row in table.iter_rows(named=True):
        path = results / "transcripts" / row["asr"] / row["task"] / f"{row['condition']}.parquet"
        heard = pl.read_parquet(path).filter(pl.col("voice") == "us")
        said = pl.read_parquet(results / "tasks" / row["task"] / "items.parquet").select("id", said="text")
        both = heard.join(said, on="id", validate="1:1")
        expected = wer([plain(text) for text in both["said"]], [plain(text) for text in both["text"]])
        assert row["word_error_rate"] == pytest.approx(expected)


class Page(html.parser.HTMLParser):
    """Cells of tables, and whether every element that was opened is closed."""

    VOID = frozenset({"area", "base", "br", "col", "hr", "img", "input", "link", "meta", "source", "wbr"})

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.cells: list[str] = []
        self.sources: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in {"td", "th"}:
            self.cells.append("")
        self.sources += [value or "" for name, value in attrs if name in {"src", "href"}]
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in self.VOID:
            self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        if tag not in self.VOID:
            assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if {"td", "th"} & set(self.open[-3:]):
            self.cells[-1] += data


def test_the_report_holds_the_tables_and_needs_no_network(results: Path) -> None:
    page = Page()
    page.feed((results / "report.html").read_text(encoding="utf-8"))
    assert page.open == []
    cells = {" ".join(cell.split()) for cell in page.cells}
    for row in read(results, "accuracy").iter_rows(named=True):
        assert any(cell.startswith(f"{100 * row['accuracy']:.1f}") for cell in cells), row
    assert {"first", "second"} <= cells
    assert not [source for source in page.sources if source.startswith(("http:", "https:", "//", "file:"))]


def test_figures_are_pictures(results: Path) -> None:
    for name in ("figure1_agreement", "figure3_noise"):
        assert ElementTree.parse(results / "figures" / f"{name}.svg").getroot().tag.endswith("svg")
        assert (results / "figures" / f"{name}.png").read_bytes().startswith(b"\x89PNG")


def test_speech_loads_as_audio_in_datasets(results: Path, tmp_path: Path) -> None:
    import datasets
    from soundfile import info

    for condition in ("clean", "snr10"):
        path = results / "speech" / "sst2" / "us" / f"{condition}.parquet"
        clips = datasets.load_dataset("parquet", data_files=str(path), split="train", cache_dir=str(tmp_path))
        assert clips.features["audio"] == datasets.Audio(sampling_rate=16_000)
        raw = clips.cast_column("audio", datasets.Audio(decode=False))
        for row in raw:
            file = tmp_path / "clip.flac"
            file.write_bytes(row["audio"]["bytes"])
            sound = info(file)
            assert (sound.samplerate, sound.channels, sound.format) == (16_000, 1, "FLAC")
            assert sound.duration == pytest.approx(row["seconds"])
            assert (row["snr_db"] is None) == (condition == "clean")
    assert clips.num_rows == 8


@pytest.fixture(scope="module")
def overview(finished: Checkout, tiny_models: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    """Snakemake's own report of the study."""
    file = tmp_path_factory.mktemp("overview") / "report.html"
    done = finished.snakemake(tiny_config(tiny_models), "--report", str(file))
    assert done.returncode == 0, done.stdout
    return file.read_text(encoding="utf-8")


def value_of(overview: str, variable: str) -> Any:
    """What the page gives a variable of its script."""
    start = re.search(rf'<script id="[\w-]+">\s*var {variable} = ', overview)
    assert start is not None
    value, _ = json.JSONDecoder().raw_decode(overview, start.end())
    return value


def test_snakemakes_own_report_shows_tables_figures_and_captions(overview: str) -> None:
    text = json.dumps(overview, ensure_ascii=False)
    for wanted in ("Tables", "Figures", "What 2 systems answered on 2 tasks", "Agreement (Cohen", "The whole study on"):
        assert wanted in text, wanted


def test_its_front_page_says_what_is_asked_of_whom_and_what_to_open(overview: str, study: Study) -> None:
    page = value_of(overview, "workflow_desc")
    words = " ".join(re.sub(r"<[^>]*>", "", page).split())
    assert "?" in words and not re.search(r"[{}]|snakemake\.", words)
    for name in (*study.config.systems, *study.config.tasks):
        assert re.search(rf"\b{name}\b", words), name
    # Each group that the report's files stand in is named, and each file says in words what it is.
    files, groups = value_of(overview, "results"), value_of(overview, "categories")
    assert set(files) >= {
        path for path in stages.report.targets(study) if path.endswith(("report.html", ".csv", ".svg"))
    }
    assert groups and all(f"<strong>{group}</strong>" in page for group in groups)
    for path, file in files.items():
        assert file["labels"] and len(re.sub(r"<[^>]*>", "", file["caption"]).split()) > 10, path


@pytest.mark.models
def test_a_study_of_the_embedded_models(tmp_path: Path) -> None:
    project = Checkout(tmp_path / "project", default_cache())
    config = {
        "registry": [f"config/{name}.yaml" for name in ("models", "systems", "voices", "tasks")],
        "tasks": ["ag_news", "sst2"],
        "items": {"source": "demo", "per_task": 4},
        "speech": {"voices": ["heart"]},
        "systems": ["tiny-smollm2", "base-smollm2"],
        "pairs": [{"system": "tiny-smollm2", "reference": "base-smollm2", "label": "same LLM, two recognisers"}],
        "transcribe": {"engine": "hybrid", "device": "cpu"},
        "answer": {"device": "cpu"},
    }
    done = project.run(config)
    assert done.returncode == 0, done.stdout
    results = project.root / "results"
    assert (results / "report.html").is_file()
    # Neural speech is recognised nearly without error; models that were loaded wrongly write something else.
    assert (read(results, "transcription")["word_error_rate"] < 0.2).all()
    # A chat model that was told the labels names one of them nearly always.
    assert (read(results, "accuracy")["parse_rate"] > 0.5).all()


def test_no_table_contradicts_another(results: Path) -> None:
    tables = {path.stem: read(results, path.stem) for path in (results / "tables").glob("*.csv")}
    wrong, several = contradictions(tables)
    assert several and not wrong
    assert not zero_widths(tables)
