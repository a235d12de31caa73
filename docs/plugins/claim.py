"""A claim: two systems with one LLM give the same answer more than half of the time."""

from cascade_equivalence.report.claims_paper import CLAIMS, new_claim

CLAIMS.add(
    new_claim(
        id="mostly_the_same",
        section="ours",
        title="Most answers are the same",
        says="The two give the same answer to more than half of the clips.",
        judged_on="the agreement of all pairs, clean speech",
        test="mean",
        rows={"table": "agreement", "value": "observed_agreement"},
        against=0.5,
        unit="share",
        holds="{value} of the answers are the same.",
        fails="{value} of the answers are the same.",
        untold="{value} of the answers are the same; {reason}.",
    )
)
