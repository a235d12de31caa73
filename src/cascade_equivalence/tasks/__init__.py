"""Tasks: items, prompt, label set, parser, scorer."""
