"""What a study makes: a module a stage, with its files, its inputs, what its nodes depend on and what they need.

A stage is functions that take the study. The rules of the workflow ask them; what a node does is in the packages below.
"""
# ruff: noqa: F401  (imported to be found as attributes)

from cascade_equivalence.stages import (
    adapter,
    agree,
    answer,
    api,
    attributions,
    conflict,
    connector,
    curved,
    erasers,
    erasure,
    imported,
    items,
    lens,
    needs,
    noise,
    opened_models,
    patching,
    preflight,
    probes,
    repeat,
    report,
    resolve,
    sets,
    silence,
    similarity,
    speech,
    states,
    steering,
    surplus,
    transcribe,
    utterances,
    voice_words,
    wildcards,
)
