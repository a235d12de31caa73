"""Wildcards of the rules: the names that there are in a study, as regular expressions."""

import re
from collections.abc import Iterable

from cascade_equivalence.conditions import CLEAN
from cascade_equivalence.config.spoken import all_voices
from cascade_equivalence.stages import erasure, opened_models
from cascade_equivalence.stages.study import Study


def constraints(study: Study) -> dict[str, str]:
    """Wildcard constraints: only names of this study, so that a misspelt path is no file."""
    silent = {node.condition for node in study.silent_nodes}
    erased = study.config.mechanism is not None and study.config.mechanism.erasure is not None
    return {
        "model": _either(study.config.definitions.models),
        "asr": _either(name for name in study.asrs if not study.is_lens(name)),
        "opened": _either(opened_models.models(study) if study.config.mechanism else ()),
        **dict.fromkeys(("layer", "number", "of"), r"\d+"),
        "concept": _either(erasure.concepts(study) if erased else ()),
        "lens": _either(name for name in study.asrs if study.is_lens(name)),
        "task": _either(study.config.tasks),
        "voice": _either(all_voices(study.config)),
        "condition": _either([*study.conditions, *silent]),
        "variant": _either(study.config.statistics.repeats),
        "noise": _either(name for name in study.conditions if name != CLEAN),
        "part": "speech|music",
        "connector": _either(study.config.definitions.connectors),
        "adapter": _either(study.config.definitions.adapters),
        "shard": r"(train|styled|plain)-\d{4}|held-[A-Za-z0-9._-]+",
        "system": _either(study.config.systems),
        **{role: _either(study.config.systems) for role in ("reference", "first", "second")},
    }


def answered_by(study: Study, engine: str) -> str:
    """A regular expression for the systems that an engine answers: each engine has a rule of its own.

    Args:
        study: The study.
        engine: ``transformers``, ``vllm``, ``api`` for the systems that a service answers for, or ``imported``.
    """
    engines = {name: study.engine_of(name) if study.is_here(name) else "imported" for name in study.config.systems}
    engines |= dict.fromkeys(study.apis, "api")
    return _either(name for name, known in engines.items() if known == engine)


def transcribed_by(study: Study, who: str) -> str:
    """A regular expression for the sources of transcripts that are ``here``, or those that an ``endpoint`` runs."""
    names = (name for name in study.asrs if not study.is_lens(name))
    return _either(name for name in names if (name in study.recogniser_services) == (who == "endpoint"))


def _either(names: Iterable[str]) -> str:
    """A regular expression for one of some names; one that nothing matches where there are none."""
    return "|".join(re.escape(name) for name in names) or r"(?!)"
