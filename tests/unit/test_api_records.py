"""Keys, replays without a network, and what is kept of answers: never a secret, and what answered."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from api_asking import (
    ENVIRON,
    PRICES,
    VARIABLE,
    FastClock,
    ask,
    letters,
    question,
    spec,
    stored,
)
from api_server import KEY, StandIn, Trouble, serving, status

from cascade_equivalence.config.api import ApiConfig
from cascade_equivalence.errors import StudyError
from cascade_equivalence.models.api.keys import OFFLINE, missing_keys
from cascade_equivalence.models.api.records import StoredAnswer, question_key, read_store, version_changes
from cascade_equivalence.models.store import Store

PROVIDERS = ("gemini", "openai")


@pytest.fixture(autouse=True)
def loopback(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.delenv(OFFLINE, raising=False)


@pytest.fixture
def server() -> Iterator[StandIn]:
    with serving() as stand_in:
        yield stand_in


# -- keys, offline, secrets -------------------------------------------------------------------------------------


def test_a_key_is_needed_only_for_what_is_missing(server: StandIn, tmp_path: Path) -> None:
    asked = spec(server)
    with pytest.raises(StudyError, match=f"{VARIABLE} is not set: put the API key for ears"):
        ask(tmp_path, asked, [0, 1], environ={VARIABLE: "  "})
    found = ask(tmp_path, asked, [0, 1])
    assert ask(tmp_path, asked, [0, 1], environ={}) == found
    with pytest.raises(StudyError, match=f"{VARIABLE} is not set"):
        ask(tmp_path, asked, [0, 1, 2], environ={})
    with pytest.raises(StudyError, match="copy the key again"):
        ask(tmp_path, asked, [0, 1, 2], environ={VARIABLE: "sk-\u2026"})
    assert len(server.heard) == 2


def test_missing_keys_are_named_once_with_all_that_need_them(server: StandIn) -> None:
    asked = spec(server)
    free, other = spec(server, key_env=""), spec(server, key_env="OTHER_KEY")
    systems = {"a": asked, "b": asked, "free": free, "other": other}
    lines = missing_keys(systems, {"OTHER_KEY": "k"})
    assert len(lines) == 1 and lines[0].startswith(f"{VARIABLE} is not set: put the API key for a, b into")
    assert not missing_keys(systems, {**ENVIRON, "OTHER_KEY": "k"}) and not missing_keys({"free": free}, {})


@pytest.mark.parametrize("how", ["config", "environment"])
def test_offline_everything_comes_from_the_store_or_nothing(server: StandIn, tmp_path: Path, how: str) -> None:
    config = ApiConfig(offline=how == "config")
    environ = {OFFLINE: "1"} if how == "environment" else {}
    with pytest.raises(StudyError, match=r"2 of 2 answers of ears are not in"):
        ask(tmp_path, spec(server), [0, 1], config, environ)
    assert not (tmp_path / "answers").exists()
    found = ask(tmp_path, spec(server), [0, 1])
    asked, before = len(server.heard), sorted(tmp_path.rglob("*"))
    assert ask(tmp_path, spec(server), [1, 0], config, environ) == found[::-1]
    with pytest.raises(StudyError, match=r"1 of 3 answers of ears"):
        ask(tmp_path, spec(server), [0, 1, 2], config, environ)
    assert len(server.heard) == asked and sorted(tmp_path.rglob("*")) == before
    assert ask(tmp_path, spec(server), [0, 1], environ={OFFLINE: "0"}) == found


@pytest.mark.parametrize("provider", PROVIDERS)
def test_the_key_is_in_no_file_no_log_and_no_message(
    server: StandIn, tmp_path: Path, provider: str, capfd: pytest.CaptureFixture[str]
) -> None:
    told = []
    quoting = status(500, f"the key {KEY} is fine, we are not")
    server.first(None, quoting, quoting, None, status(403, f"{KEY} may not"))
    for numbers in ([0, 1, 2], [3]):
        with pytest.raises(StudyError) as met:
            ask(tmp_path, spec(server, provider, attempts=2, prices=PRICES), numbers)
        told.append(str(met.value))
    server.key = "another"
    with pytest.raises(StudyError) as met:
        ask(tmp_path, spec(server, provider), [4])
    told.append(str(met.value))
    written = [path.read_text(encoding="utf-8") for path in tmp_path.rglob("*") if path.is_file()]
    assert len(written) >= 4 and letters(tmp_path)
    for text in (*written, *told, *capfd.readouterr()):
        assert KEY not in text and KEY[:12] not in text


# -- keys of records, versions ---------------------------------------------------------------------------------------


def test_whatever_changes_a_request_changes_the_key_and_nothing_else_does(server: StandIn) -> None:
    asked, base = question(0), spec(server, "openai")
    key = question_key(base, asked, 6)
    same = {"prices": PRICES, "concurrency": 9, "attempts": 2, "timeout": 3, "requests_per_minute": 3, "key_env": "K"}
    for name, value in same.items():
        assert question_key(spec(server, "openai", **{name: value}), asked, 6) == key
    fields = {"messages": ({"role": "user", "content": "<|audio|>"},), "audio": question(1).audio}
    others = [
        question_key(spec(server, "openai", **{name: value}), asked, 6)
        for name, value in {"seed": 1, "model": "m2", "extra_body": {"top_k": 1}, "max_output_tokens": 3}.items()
    ]
    others += [question_key(spec(server), asked, 6), question_key(base, asked, 7)]
    others += [question_key(base, type(asked)(**{**vars(asked), name: value}), 6) for name, value in fields.items()]
    assert len({key, *others}) == len(others) + 1


def test_a_record_survives_the_store(server: StandIn, tmp_path: Path) -> None:
    server.first(Trouble(usage=False), None)
    ask(tmp_path, spec(server), [0, 1])
    for value in stored(tmp_path):
        assert StoredAnswer.from_json(value).to_json() == value


def test_a_model_that_changes_under_its_name_is_reported(
    server: StandIn, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ask(tmp_path, spec(server), [0, 1])
    assert not version_changes(tmp_path / "answers") and "Warning" not in capsys.readouterr().err
    server.version = "listener-1-2026-06-01"
    clock = FastClock()
    clock.sleep(3600)
    ask(tmp_path, spec(server), [0, 1, 2], clock=clock, node="noise/snr10")
    (sentence,) = version_changes(tmp_path / "answers")
    assert sentence.startswith(
        "listener-1 answered in 2 versions: listener-1-2026-01-15 (2 answers, 1970-01-12T13:46:4"
    )
    assert "listener-1-2026-06-01 (3 answers, 1970-01-12T14" in sentence
    server.version = "listener-1-2026-09-01"
    ask(tmp_path, spec(server), [0, 1, 2, 3], clock=clock, node="noise/snr10")
    assert "listener-1 changed in the midst of these answers" in capsys.readouterr().err
    # A file of reasons is no store, and other files are nobody's.
    (tmp_path / "answers" / "clean.unanswered.jsonl").write_text("{}\n", encoding="utf-8")
    assert "3 versions" in version_changes(tmp_path / "answers")[0]


def test_reading_a_store_in_use_neither_waits_nor_writes(server: StandIn, tmp_path: Path) -> None:
    ask(tmp_path, spec(server), [0, 1])
    path = tmp_path / "answers" / "clean.jsonl"
    with Store(path) as store:
        assert read_store(path) == {key: store[key] for key in read_store(path)} and len(store) == 2
    assert read_store(tmp_path / "absent.jsonl") == {}
    # Of a key that is there twice the first counts, for both.
    key, value = next(iter(read_store(path).items()))
    with path.open("ab") as file:
        file.write(json.dumps({"key": key, "value": "later"}).encode() + b"\n")
    with Store(path) as store:
        assert read_store(path)[key] == store[key] == value
    path.write_bytes(b"nonsense\n" + path.read_bytes())
    with pytest.raises(StudyError, match="line 1, is damaged"):
        read_store(path)
