"""Systems behind an API: paid calls that are made once, counted, and never lost."""
