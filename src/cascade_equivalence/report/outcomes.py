"""What becomes of a claim, of systems or of the inside of a model: the same three words everywhere."""

HOLDS, FAILS, UNTOLD = OUTCOMES = ("holds", "does not hold", "cannot be told")
