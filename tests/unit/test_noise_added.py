"""A kind of noise added in one place is mixed, checked and shown wherever kinds are."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import matplotlib as mpl
import numpy as np
import pytest
import report_study
from study_config import ROOT, changed, lines_of

from cascade_equivalence import plugins, stages
from cascade_equivalence.cli.commands.names import run as list_names
from cascade_equivalence.conditions import NOISE_KINDS, RATIO, Condition, Scale, parse_condition, sort_conditions
from cascade_equivalence.config.load import load_study
from cascade_equivalence.config.speech import EspeakVoice, NoiseConfig
from cascade_equivalence.costs.figures import read_figures
from cascade_equivalence.errors import StudyError
from cascade_equivalence.estimate.study import estimate_study
from cascade_equivalence.report.figures.write import write_figures
from cascade_equivalence.report.html import write_report
from cascade_equivalence.report.tables import write_markdown
from cascade_equivalence.report.verdict import verdict
from cascade_equivalence.speech.clips import Clip, decode
from cascade_equivalence.speech.kinds import make_condition
from cascade_equivalence.speech.noise import mix_clips
from cascade_equivalence.speech.noise_kinds.base import Mixing, NoiseKind
from cascade_equivalence.speech.synthesize import Utterance, synthesize_clips
from cascade_equivalence.speech.waveform import SAMPLING_RATE, encode_flac
from cascade_equivalence.stages.study import Study

mpl.use("Agg")

TITLE = "mains <hum>"
MAINS_HZ = 50
CODEC = Scale("bit rate", "Rate", "kbit/s", least=1, most=64, rising=False, whole=True, digits=0, apart=8.0)


def mains(samples: int) -> np.ndarray:
    return np.sin(2 * np.pi * MAINS_HZ * np.arange(samples) / SAMPLING_RATE).astype(np.float32)


def add_hum(asked: Mixing) -> list[Clip]:
    return list(mix_clips(asked.clean, lambda clip: mains(decode(clip).size), asked.task, asked.level))


@pytest.fixture(autouse=True)
def _forgotten() -> Iterator[None]:
    """Kinds that a test adds are gone after it."""
    yield
    NOISE_KINDS.drop(NOISE_KINDS.added())


@pytest.fixture
def hum() -> NoiseKind:
    return NOISE_KINDS.add(NoiseKind(name="mains", prefix="hum", scale=RATIO, mix=add_hum, title=TITLE))


@pytest.fixture
def clean(tmp_path: Path) -> list[Clip]:
    items = [Utterance("a", "Here come two more trains."), Utterance("b", "Nobody asked for the old bridge.")]
    return synthesize_clips(items, "us", EspeakVoice(provider="espeak"), 30.0, tmp_path, 1)


def test_a_kind_that_loses_a_clip_is_told(clean: list[Clip]) -> None:
    NOISE_KINDS.add(NoiseKind(name="gap", prefix="gap", scale=RATIO, mix=lambda asked: list(asked.clean)[1:]))
    with pytest.raises(StudyError, match=Path(__file__).name):
        list(make_condition(clean, "sst2", parse_condition("gap3"), NoiseConfig()))


def test_a_kind_that_gives_new_sound_an_old_hash_is_told(clean: list[Clip]) -> None:
    def shorter(asked: Mixing) -> list[Clip]:
        return [replace(clip, flac=encode_flac(decode(clip) / 2)) for clip in asked.clean]

    NOISE_KINDS.add(NoiseKind(name="half", prefix="half", scale=RATIO, mix=shorter))
    with pytest.raises(StudyError, match=f"{Path(__file__).name}.*sha256"):
        list(make_condition(clean, "sst2", parse_condition("half3"), NoiseConfig()))


def test_the_config_takes_its_levels_and_the_graph_has_its_conditions(hum: NoiseKind) -> None:
    before = Study(load_study(changed(), ROOT))
    raw = changed(noise__kinds={"mains": {"levels": [20, 10.5]}})
    study = Study(load_study(raw, ROOT))
    new = ["hum20", "hum10.5"]
    assert study.conditions == [*before.conditions, *new]
    assert set(stages.answer.all_files(study)) - set(stages.answer.all_files(before)) == {
        answers
        for answers in stages.answer.all_files(study)
        if any(answers.endswith(f"/{name}.parquet") for name in new)
    }
    assert all(name in stages.wildcards.constraints(study)["noise"].replace("\\", "") for name in new)
    assert stages.noise.pool(study, "sst2", "heart", "hum20") == [] and stages.noise.folder(study, "hum20") is None
    params = stages.noise.params(study, "heart", "hum20")
    assert (params["kind"], params["level"]) == ("mains", 20.0)
    assert stages.noise.params(study, "heart", "snr10") == stages.noise.params(before, "heart", "snr10")
    assert hum.source == Path(__file__)
    (clean, noisy), (clean_before, noisy_before) = (
        estimate_study(each, read_figures()).clips for each in (study, before)
    )
    assert clean == clean_before and noisy == 2 * noisy_before


@pytest.mark.parametrize(
    ("kinds", "words"),
    [
        ({"main": {"levels": [1]}}, ("noise.kinds", "'main'", "'mains'")),
        ({"music": {"levels": [1]}}, ("noise.kinds.music", "noise.music_snr_db")),
        ({"mains": {"levels": [1, 1]}}, ("noise.kinds.mains.levels", "twice")),
        ({"mains": {"levels": [300]}}, ("noise.kinds.mains.levels", "300", "dB")),
        ({"mains": {"levels": [1e-150]}}, ("noise.kinds.mains.levels", "digits")),
        ({"codec": {"levels": [16, 16.5]}}, ("noise.kinds.codec.levels", "16.5", "kbit/s")),
        ({"mains": {"levels": [1], "folder": "hums"}}, ("noise.kinds.mains.folder",)),
        ({"mains": {"levels": ["loud"]}}, ("noise.kinds.mains.levels.0",)),
        ({"mains": {}}, ("noise.kinds.mains.levels", "missing")),
        ({"mains": [1]}, ("noise.kinds.mains",)),
    ],
)
def test_what_cannot_work_is_one_line(hum: NoiseKind, kinds: object, words: tuple[str, ...]) -> None:
    NOISE_KINDS.add(NoiseKind(name="codec", prefix="kbps", scale=CODEC, mix=add_hum))
    (line,) = lines_of(changed(noise__kinds=kinds))
    assert all(word in line for word in words), line


def test_a_kind_of_sound_files_takes_its_folder(tmp_path: Path) -> None:
    NOISE_KINDS.add(NoiseKind(name="cafe", prefix="cafe", scale=RATIO, mix=add_hum, made_of=lambda _: "folder"))
    (line,) = lines_of(changed(noise__kinds={"cafe": {"levels": [5]}}))
    assert line.startswith("noise.kinds.cafe.folder")
    raw = changed(noise__kinds={"cafe": {"levels": [5], "folder": str(tmp_path)}})
    study = Study(load_study(raw, ROOT))
    assert stages.noise.folder(study, "cafe5") == tmp_path and stages.noise.folder(study, "snr10") is None
    assert stages.noise.params(study, "heart", "cafe5")["folder"] == tmp_path.as_posix()


def test_a_kind_of_other_voices_has_them_behind_it() -> None:
    NOISE_KINDS.add(NoiseKind(name="rival", prefix="rival", scale=RATIO, mix=add_hum, made_of=lambda _: "voices"))
    study = Study(load_study(changed(noise__kinds={"rival": {"levels": [5]}}), ROOT))
    assert (
        stages.noise.pool(study, "sst2", "heart", "rival5") == stages.noise.pool(study, "sst2", "heart", "snr10") != []
    )


def test_it_is_listed(hum: NoiseKind, capsys: pytest.CaptureFixture[str]) -> None:
    assert list_names(SimpleNamespace(kind="noises", config=None, json=False)) == 0  # type: ignore[arg-type]
    (line,) = (line for line in capsys.readouterr().out.splitlines() if line.startswith("mains "))
    assert TITLE in line and "noise.kinds.mains.levels" in line


@pytest.mark.parametrize("prefix", ["snr", "clean", "", "Hum", "hum1", "h-m"])
def test_a_prefix_is_its_own_and_a_word(prefix: str) -> None:
    with pytest.raises(StudyError, match="prefix"):
        NOISE_KINDS.add(NoiseKind(name="other", prefix=prefix, scale=RATIO, mix=add_hum))


def test_a_prefix_may_begin_like_another(hum: NoiseKind) -> None:
    NOISE_KINDS.add(NoiseKind(name="snre", prefix="snre", scale=RATIO, mix=add_hum))
    assert parse_condition("snre5") == Condition("snre", 5.0) and parse_condition("snr5") == Condition("babble", 5.0)
    assert sort_conditions(["snre5", "hum5", "reverb300", "snr5"]) == ["snr5", "reverb300", "hum5", "snre5"]


def test_it_is_shown_wherever_noise_is(hum: NoiseKind, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    NOISE_KINDS.add(NoiseKind(name="codec", prefix="kbps", scale=CODEC, mix=add_hum))
    loss = {"snr0": 0.3, "hum10": 0.1, "hum0": 0.4, "kbps16": 0.1, "kbps4": 0.5}
    order = ["clean", *loss]
    monkeypatch.setattr(report_study, "LOSS", {"clean": 0.03} | loss)
    monkeypatch.setattr(report_study, "CONDITIONS", order)
    outline = report_study.OUTLINE
    tables = report_study.build(report_study.write_study(tmp_path, outline))

    own = tables.noise.filter(noise="mains")
    assert set(own.select("condition", "snr_db").iter_rows()) == {("hum10", 10.0), ("hum0", 0.0)}
    assert own["rt60_ms"].null_count() == own.height
    assert tables.noise.filter(system="base-qwen", task="sst2")["condition"].to_list() == order
    ranked = tables.ranking.filter(noise="codec")
    assert set(ranked["crossover_unit"]) == {"kbit/s"} and set(ranked["condition"]) == {"clean", "kbps16", "kbps4"}

    write_markdown(tables, tmp_path / "tables", 0.95)
    accuracy, ranking = ((tmp_path / "tables" / f"{name}.md").read_text() for name in ("noise", "ranking"))
    assert "mains 10\N{NO-BREAK SPACE}dB" in accuracy and "codec 4\N{NO-BREAK SPACE}kbit/s" in accuracy
    assert "mains 10\N{NO-BREAK SPACE}dB" in ranking and "bit rate" in ranking

    figures = write_figures(tables, tmp_path / "figures")
    (curves,) = (path for path in figures if path.name.endswith("noise.svg"))
    assert "Rate in codec (kbit/s)" in curves.read_text() and "SNR in mains" in curves.read_text()
    said = " ".join(verdict(tables, outline))
    assert f"In {TITLE} at 0\N{NO-BREAK SPACE}dB" in said and "In codec at 4\N{NO-BREAK SPACE}kbit/s" in said

    page = write_report(
        tmp_path / "report.html",
        title="t",
        tables=tables,
        figures=figures,
        outline=outline,
        statistics=report_study.STATISTICS,
    ).read_text()
    assert "mains 10\N{NO-BREAK SPACE}dB" in page and TITLE not in page


def test_its_nodes_depend_on_the_file_it_came_in(tmp_path: Path) -> None:
    file = tmp_path / "hiss.py"
    text = (
        "from cascade_equivalence.conditions import NOISE_KINDS, RATIO\n"
        "from cascade_equivalence.speech.noise_kinds.base import NoiseKind\n"
        "NOISE_KINDS.add(NoiseKind('hiss', 'hiss', RATIO, mix=lambda asked: list(asked.clean)))\n"
    )
    found = []
    for more in ("", "# A remark.\n", "LOUD = 2\n"):
        file.write_text(text + more)
        raw = changed(plugins=[str(file)], noise__kinds={"hiss": {"levels": [5]}})
        study = Study(load_study(raw, ROOT))
        found.append([stages.noise.params(study, "heart", name)["code"] for name in ("hiss5", "snr10")])
    plugins.use([])
    assert found[0] == found[1] and found[1][0] != found[2][0] and found[1][1] == found[2][1]
    assert "hiss" not in NOISE_KINDS
