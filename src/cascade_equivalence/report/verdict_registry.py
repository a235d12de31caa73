"""The paper's claims on the inside of models, in the order of the report."""

from collections.abc import Callable, Iterable, Iterator

from cascade_equivalence.report import finding, verdict_erasure, verdict_probes
from cascade_equivalence.report.finding import Finding
from cascade_equivalence.report.mechanism_names import concepts_of
from cascade_equivalence.report.verdict_fall import Erasures
from cascade_equivalence.report.verdict_inside import Inside, InsideClaim


def _erased(judge: Callable[[Erasures], Iterable[Finding]]) -> Callable[[Inside], Iterable[Finding]]:
    """What judges a model that something was erased in."""
    return lambda inside: () if inside.erasures is None else judge(inside.erasures)


def _apart(inside: Inside) -> Iterator[Finding]:
    for concept in concepts_of("sound"):
        yield from verdict_erasure.apart(inside.tables.erasers, inside.tables.probes, inside.model, concept)


KIND = InsideClaim
OWN = (
    InsideClaim(finding.RETAINED, verdict_probes.retained),
    InsideClaim(finding.READABLE, verdict_probes.readable),
    InsideClaim(finding.SHOWN, verdict_probes.shown),
    InsideClaim(finding.SUFFICES, verdict_probes.suffices),
    InsideClaim(finding.NECESSARY, _erased(verdict_erasure.necessary)),
    InsideClaim(finding.HEARING, _erased(verdict_erasure.hearing)),
    InsideClaim(finding.BAG_BREAKS_MORE, _erased(verdict_erasure.bag_breaks_more)),
    InsideClaim(finding.BAG_DIFFERS, _erased(verdict_erasure.bag_differs)),
    InsideClaim(finding.NOT_MEAN, _erased(verdict_erasure.not_only_mean)),
    InsideClaim(finding.SPARED, _erased(verdict_erasure.spared)),
    InsideClaim(finding.APART, _apart),
)
