"""An unknown key, anywhere, is named in full with the one that may be meant."""

import copy
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from study_config import BASE, FILES, HUB, MODEL, ROOT, WHEELS, changed, lines_of, one_line

from cascade_equivalence.config.study import Definitions


@pytest.mark.parametrize(
    ("places", "key", "meant"),
    [
        ({"task": ["sst2"]}, "task", "tasks"),
        ({"items__max_word": 1}, "items.max_word", "max_words"),
        ({"speech__voice": []}, "speech.voice", "voices"),
        ({"noise__snr": []}, "noise.snr", None),
        ({"transcribe__engin": "hybrid"}, "transcribe.engin", "engine"),
        ({"answer__max_new_tokens": 4}, "answer.max_new_tokens", None),
        ({"statistics__seeds": 4}, "statistics.seeds", "seed"),
        ({"pairs": [BASE["pairs"][0] | {"labels": "x"}]}, "pairs.0.labels", "label"),
        ({"definitions__voice": {}}, "definitions.voice", "voices"),
        (
            {"definitions__voices": {"seed": {"provider": "espeak", "pich": 1}}},
            "definitions.voices.seed.pich",
            "pitch",
        ),
        ({"definitions__voices": {"v": {"provider": "hibari", "sped": 1}}}, "definitions.voices.v.sped", "speed"),
        ({"definitions__models": {"role": MODEL | {"chats": True}}}, "definitions.models.role.chats", "chat"),
        (
            {"definitions__models": {"m": MODEL | {"source": HUB | {"rev": "x"}}}},
            "definitions.models.m.source.rev",
            None,
        ),
        (
            {"definitions__models": {"m": MODEL | {"source": WHEELS | {"repository": "x"}}}},
            "definitions.models.m.source.repository",
            None,
        ),
        (
            {"definitions__models": {"m": MODEL | {"source": WHEELS | {"wheels": [WHEELS["wheels"][0] | {"sha": 1}]}}}},
            "definitions.models.m.source.wheels.0.sha",
            None,
        ),
        (
            {"definitions__systems": {"s": {"kind": "cascade", "asr": "a", "llm": "b", "als": "c"}}},
            "definitions.systems.s.als",
            None,
        ),
        (
            {"definitions__tasks": {"sst2": {"prompt": "{speech}", "shot": []}}},
            "definitions.tasks.sst2.shot",
            "shots",
        ),
        (
            {
                "definitions__tasks": {
                    "sst2": {"prompt": "{speech}", "shots": [{"speech": "a", "answer": "b", "ask": 1}]}
                }
            },
            "definitions.tasks.sst2.shots.0.ask",
            None,
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_an_unknown_key_is_named_in_full(places: dict[str, Any], key: str, meant: str | None) -> None:
    line = one_line(changed(**places))
    assert line.startswith(f"{key}: unknown key - ")
    assert meant is None or line.endswith(f"did you mean {meant!r}?")


def walk(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Places of all mappings in a config."""
    if isinstance(value, dict):
        yield path
    for key, inner in value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ():
        yield from walk(inner, (*path, key))


WHOLE = BASE | {"definitions": {section: FILES[f"{section}.yaml"][section] for section in Definitions.model_fields}}
# Not the mappings whose keys are names of the user's.
CLOSED = [
    place
    for place in walk(WHOLE)
    if place == ()
    or not (
        place[-1] in ("per_task", "label_words", "files")
        or (place[0] == "definitions" and len(place) == 2)
        or (place[1:2] in (("connectors",), ("adapters",)) and str(place[-1]).endswith("voices"))
    )
]


@settings(deadline=None, max_examples=60)
@given(st.sampled_from(CLOSED))
def test_an_unknown_key_anywhere_is_named_in_full(place: tuple[Any, ...]) -> None:
    raw = copy.deepcopy(WHOLE)
    section = raw
    for key in place:
        section = section[key]
    section["surprise"] = 1
    assert one_line(raw).startswith(f"{'.'.join(map(str, (*place, 'surprise')))}: unknown key - ")


def test_an_unknown_key_of_a_registry_file_names_the_file(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("voices: {v: {provider: espeak, pich: 3}}\n")
    (tmp_path / "b.yaml").write_text("systems: {}\nvoice: {}\n")
    registry = [*(str(ROOT / path) for path in BASE["registry"]), "a.yaml", "b.yaml"]
    lines = lines_of(changed(registry=registry), tmp_path)
    for line, (file, key, meant) in zip(
        lines, (("a.yaml", "voices.v.pich", "'pitch'"), ("b.yaml", "voice", "'voices'")), strict=True
    ):
        assert line.startswith(f"{tmp_path / file}: {key}: ") and meant in line
