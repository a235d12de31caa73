"""A file of a finished study is lost or damaged: it is made again from the store, and never becomes a result."""

import re

import polars as pl
import pytest
from reruns import END, RESULTS, Study

ANSWERS = f"{RESULTS}/answers/first/sst2/snr10.parquet"
STATES = f"{RESULTS}/states/speech-a/layer1.safetensors"
CLIPS = f"{RESULTS}/speech/sst2/us/clean.parquet"


def test_a_lost_table_is_collected_again(micro: Study) -> None:
    (micro.root / RESULTS / "tables" / "accuracy.csv").unlink()
    before = micro.stored()
    assert micro.ran(micro.config()) == END
    assert micro.stored() == before


def test_a_lost_figure_is_drawn_again(micro: Study) -> None:
    (micro.root / RESULTS / "figures" / "costs.svg").unlink()
    assert micro.ran(micro.config()) == {("all",), ("draw_figures",), ("write_report",)}


def test_lost_answers_are_made_again_from_the_store(micro: Study) -> None:
    file, stored = micro.root / ANSWERS, micro.stored()
    content = file.read_bytes()
    file.unlink()
    # Tables that were made from them are there: only who asks for the answers gets them again.
    assert micro.run(micro.config()).jobs == set()
    assert micro.ran(micro.config(), "all_answers") == {("answer", "first", "sst2", "snr10"), ("all_answers",)}
    assert file.read_bytes() == content and micro.stored() == stored
    # They are the same as before, and so is what depends on them.
    assert micro.run(micro.config()).jobs == set()


def test_what_verify_advises_for_a_changed_line_of_a_store_repairs_it(micro: Study) -> None:
    store = micro.root / RESULTS / "store/answers/first/sst2/snr10.jsonl"
    lines, answers = store.read_bytes().splitlines(keepends=True), pl.read_parquet(micro.root / ANSWERS)
    store.write_bytes(b"".join([lines[0], lines[1].replace(b":", b";", 1), *lines[2:]]))
    said = micro.checkout.python("-m", "cascade_equivalence", "verify", str(RESULTS), PYTHONPATH="src")
    found = re.search(r"remove line 2 of (\S+), delete (\S+) and .* the target (\S+), then once more", said.stdout)
    assert said.returncode == 1 and found and found[2] == found[3] == ANSWERS, said.stdout
    (micro.root / found[1]).write_bytes(b"".join([lines[0], *lines[2:]]))
    (micro.root / found[2]).unlink()
    micro.ran(micro.config(), found[3])
    micro.ran(micro.config())
    # The answer that is asked for again takes another time.
    again = pl.read_parquet(micro.root / ANSWERS)
    assert again.drop("seconds").equals(answers.drop("seconds")) and len(store.read_bytes().splitlines()) == len(lines)
    said = micro.checkout.python("-m", "cascade_equivalence", "verify", str(RESULTS), PYTHONPATH="src")
    assert said.returncode == 0, said.stdout


def flip(content: bytes) -> bytes:
    """One bit in the middle: still a file of its kind."""
    middle = len(content) // 2
    return content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :]


def cut(content: bytes) -> bytes:
    """What a full disk leaves."""
    return content[: len(content) // 2]


@pytest.mark.parametrize(
    ("path", "damage", "reader", "maker"),
    [
        (ANSWERS, cut, "agree", ("answer", "first", "sst2", "snr10")),
        (STATES, flip, "probe_layer", ("capture_speech_a",)),
        (CLIPS, flip, "transcribe", ("synthesize_speech", "sst2", "us")),
    ],
)
def test_a_damaged_file_stops_who_reads_it(micro: Study, path: str, damage, reader: str, maker: tuple) -> None:
    file, stored = micro.root / path, micro.stored()
    content = file.read_bytes()
    results = micro.checkout.files(f"{RESULTS}/tables/*.csv")
    file.write_bytes(damage(content))
    failed = micro.run(micro.config())
    assert failed.code != 0 and f"{reader}: damaged, or changed by hand, since it was made: {path}" in failed.output
    assert f"made by: {' '.join(maker)}" in failed.output and "Delete it, give its name" in failed.output
    assert "Traceback" not in failed.output
    # Its own table says so as well.
    said = micro.checkout.python("-m", "cascade_equivalence", "verify", str(RESULTS), PYTHONPATH="src")
    assert said.returncode == 1 and path.removeprefix(f"{RESULTS}/") in said.stdout
    # What the message says helps; nothing is computed that was computed before.
    file.unlink()
    jobs = micro.ran(micro.config(), path)
    assert maker in jobs and not {job for job in jobs if job[0] in {"resolve_model", "prepare_items", "preflight"}}
    assert file.read_bytes() == content and micro.stored() == stored
    micro.ran(micro.config())
    assert micro.stored() == stored
    after = micro.checkout.files(f"{RESULTS}/tables/*.csv")
    assert {name for name in results if after[name] != results[name]} <= {f"{RESULTS}/tables/times.csv"}


def test_what_verify_advises_for_a_lost_file_brings_it_back(micro: Study) -> None:
    lost = min(path for path in micro.checkout.files(f"{RESULTS}/agreement/**/*.csv"))
    file, stored = micro.root / lost, micro.stored()
    content = file.read_bytes()
    file.unlink()
    said = micro.checkout.python("-m", "cascade_equivalence", "verify", str(RESULTS), PYTHONPATH="src")
    assert said.returncode == 1
    # To the letter: the target that the advice names, and then once more without.
    target = re.search(r"the target (\S+), then once more", said.stdout)
    assert target and target[1] == lost
    micro.ran(micro.config(), target[1])
    micro.ran(micro.config())
    assert file.read_bytes() == content and micro.stored() == stored
    said = micro.checkout.python("-m", "cascade_equivalence", "verify", str(RESULTS), PYTHONPATH="src")
    assert said.returncode == 0, said.stdout
