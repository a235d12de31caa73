"""The paper's claims on systems, in its order, and behind them what the study asks of its own measures."""

from cascade_equivalence.report.claims_paper import PaperClaim, read_claims
from cascade_equivalence.resources import PAPER_CLAIMS

KIND = PaperClaim
OWN: tuple[PaperClaim, ...] = tuple(read_claims(PAPER_CLAIMS))
