"""The figures of the package, in the order of their files. A new one is a file beside this one and a line here."""

from cascade_equivalence.report.figures.agreement import AGREEMENT
from cascade_equivalence.report.figures.costs import COSTS
from cascade_equivalence.report.figures.dial import DIAL
from cascade_equivalence.report.figures.erasure import ERASURE
from cascade_equivalence.report.figures.figure import Figure
from cascade_equivalence.report.figures.gradient import GRADIENT
from cascade_equivalence.report.figures.kappa_loss import KAPPA_LOSS
from cascade_equivalence.report.figures.lens import LENS
from cascade_equivalence.report.figures.noise import NOISE
from cascade_equivalence.report.figures.overlap import OVERLAP
from cascade_equivalence.report.figures.patching import PATCHING
from cascade_equivalence.report.figures.probes import PROBES
from cascade_equivalence.report.figures.similarity import SIMILARITY
from cascade_equivalence.report.figures.steering import STEERING

KIND = Figure
OWN: tuple[Figure, ...] = (
    AGREEMENT,
    OVERLAP,
    NOISE,
    COSTS,
    GRADIENT,
    PROBES,
    LENS,
    ERASURE,
    PATCHING,
    SIMILARITY,
    DIAL,
    STEERING,
    KAPPA_LOSS,
)
