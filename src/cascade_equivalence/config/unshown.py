"""What a valid study asks of systems that none of its tables sets beside another; told, not refused."""

from collections.abc import Iterator

from cascade_equivalence.config.api import ApiSpec
from cascade_equivalence.config.augmented import AugmentedSpec
from cascade_equivalence.config.check_conflict import conflict_pairs
from cascade_equivalence.config.sources import DegradedSource
from cascade_equivalence.config.study import CascadeSpec, E2ESpec, StudyConfig


def unshown(study: StudyConfig) -> Iterator[str]:
    """Say what is asked and not shown where it was asked for, a line each."""
    systems, noise = study.definitions.systems, study.noise
    if study.conflict.tasks:
        paired = {name for pair in conflict_pairs(study) for name in pair}
        for name in study.conflict.systems:
            if name not in paired:
                yield (
                    f"`conflict.systems`: {name} stands in no pair of a speech LLM and a cascade that are both asked, "
                    "so the table `conflict` has nothing of it"
                )
    for name in study.systems:
        spec = systems[name]
        if isinstance(spec, AugmentedSpec) and not _is_told_beside_a_pair(study, spec):
            yield (
                f"`systems`: {name} is told more, and no pair is of a speech LLM and the cascade with its LLM that "
                f"reads {spec.asr} through {spec.llm}, so the table `words` has nothing of it"
            )
        source = _degraded(study, name)
        if source is None or not isinstance(spec, CascadeSpec) or not any(noise.levels().values()):
            continue
        heard = [each for each in study.systems if getattr(systems[each], "model", None) == source.reference]
        heard = [each for each in heard if isinstance(systems[each], E2ESpec)]
        cascades = [each for each in study.systems if _reads(study, each) == (source.asr, spec.llm)]
        if not heard or not cascades:
            lacking = f"speech LLM {source.reference}" if not heard else f"cascade of {source.asr} and {spec.llm}"
            yield f"`systems`: without the {lacking} the table `degraded` has nothing of {name}"
            continue
        own = [each for each in study.systems if getattr(systems[each], "asr", None) == source.reference]
        asked = noise.systems or study.systems
        for who, what in (
            (heard, "its speech LLM"),
            (cascades, "its cascade"),
            (own, "the reference's own transcript"),
        ):
            if name in asked and not set(who) & set(asked):
                missing = "has no row of it" if who is not own else "lacks the reference's word errors"
                yield (
                    f"`noise.systems`: {name} is asked in noise and {what} is not ({', '.join(who)}), so the table "
                    f"`degraded` {missing}"
                )


def _is_told_beside_a_pair(study: StudyConfig, spec: AugmentedSpec) -> bool:
    """Whether a pair is of a speech LLM and the cascade that a system is told more than; of an API it may be."""
    systems = study.definitions.systems
    for pair in study.pairs:
        for one, other in ((pair.system, pair.reference), (pair.reference, pair.system)):
            ears = systems[one]
            own = isinstance(ears, E2ESpec) and _text_model(study, ears.model) == _text_model(study, spec.llm)
            if (own or isinstance(ears, ApiSpec)) and _reads(study, other) == (spec.asr, spec.llm):
                return True
    return False


def _text_model(study: StudyConfig, name: str) -> str:
    return study.definitions.models[name].text_model or name


def _reads(study: StudyConfig, name: str) -> tuple[str, str] | None:
    """Recogniser and LLM of a cascade."""
    spec = study.definitions.systems[name]
    return (spec.asr, spec.llm) if isinstance(spec, CascadeSpec) else None


def _degraded(study: StudyConfig, name: str) -> DegradedSource | None:
    asr = getattr(study.definitions.systems[name], "asr", None)
    model = study.definitions.models.get(asr) if asr else None
    return model.source if model is not None and isinstance(model.source, DegradedSource) else None
