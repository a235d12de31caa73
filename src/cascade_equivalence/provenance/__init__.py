"""How a study was made, kept beside what was made; and what that is good for: checking and comparing."""
