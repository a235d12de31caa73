"""A data set of the hub and another program's transcripts go through a study's own nodes, up to the word errors."""

import threading
from pathlib import Path
from typing import Any

import hub_server
import polars as pl
from checkout import REAL_RUN, Checkout
from test_models_sources_hub import StandIn
from test_task_dataset import entry, parquet, spoken_rows

from cascade_equivalence.identity import names_in

TASK, VOICES, RESULTS = "mine", ("anna", "ben"), "results/outside"


def study_of(revision: str) -> dict[str, Any]:
    voices = {
        name: {
            "provider": "recordings",
            "folder": "results/sets/recordings",
            "pattern": "{task}/" + name + "/{id}.{ext}",
        }
        for name in VOICES
    }
    source = {"kind": "transcripts", "files": ["theirs.csv"], "columns": {"id": "utt"}}
    return {
        "registry": [f"config/{name}.yaml" for name in ("models", "systems", "voices", "tasks")],
        "results": RESULTS,
        "tasks": {TASK: entry(revision, voices=list(VOICES))},
        "items": {"source": "demo", "per_task": 4},
        "speech": {"voices": ["us"]},
        "systems": ["read"],
        "pairs": [],
        "definitions": {
            "voices": voices,
            "models": {"theirs": {"role": "asr", "licence": "not known", "source": source}},
            "systems": {"read": {"kind": "cascade", "asr": "theirs", "llm": "smollm2-135m-instruct"}},
        },
    }


def test_clips_of_a_data_set_are_heard_by_another_program(tmp_path: Path) -> None:
    site, rows = Checkout(tmp_path / "project"), spoken_rows()
    said = [f"{words} too" if who == "ben" else words for words, who in zip(rows["words"], rows["who"], strict=True)]
    lines = [f'{utt},{who},"{text}"' for utt, who, text in zip(rows["utt"], rows["who"], said, strict=True)]
    (site.root / "theirs.csv").write_text("utt,voice,text\n" + "\n".join(lines))
    with StandIn() as server:
        server.RequestHandlerClass = hub_server.DataSets
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        study = study_of(server.push({"data/test-00000-of-00001.parquet": parquet(tmp_path / "made", rows)}))
        hub = {"HF_ENDPOINT": server.endpoint, "HF_HUB_OFFLINE": "0", "HF_HOME": str(tmp_path / "hf")}
        target = f"{RESULTS}/transcripts/theirs/{TASK}/clean.parquet"
        words = ["-m", "snakemake", *site.command(study, target, *REAL_RUN)]
        done = site.python(*words, NO_PROXY="127.0.0.1", **hub)
        assert done.returncode == 0, done.stdout
        server.shutdown()
    table = pl.read_parquet(site.root / target)
    assert names_in(site.root / target)["asr"] == "theirs"
    assert set(table.select("id", "voice").rows()) == set(zip(rows["utt"], rows["who"], strict=True))
    # What they added is counted as such, and only where they did.
    assert (
        table.filter(voice="ben")["inserted"].to_list() == [1] * 4
        and table.filter(voice="anna")["word_errors"].sum() == 0
    )
    # Nothing is left to do, and nothing is asked of the hub for it.
    plan = site.plan(study, target)
    assert plan.code == 0 and plan.jobs == set(), plan.output
    missing = (site.root / "theirs.csv").read_text().splitlines()[:-1]
    (site.root / "theirs.csv").write_text("\n".join(missing))
    stopped = site.plan(study, target)
    assert stopped.code != 0 and "no transcript of u3 in voice ben" in stopped.output
