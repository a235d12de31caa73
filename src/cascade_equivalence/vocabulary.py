"""Words and bounds that decide results in several packages; their change, unlike one in config, makes nodes again."""

import re

BINARY = 2
"""Labels of a task with which there is one wrong answer only."""
FEWEST_GROUPS = 10
"""Groups below which no interval is shown: coverage was measured down to here (``benchmarks/calibration.py``)."""
INVALID = "invalid"
"""The category of answers that are none; no label can be called so."""
SLOT = re.compile(r"\{(speech|options)\}")
"""What is filled in a prompt."""
AUDIO_PLACEHOLDER = "<|audio|>"
"""What a speech LLM gets in place of the transcript; the audio stands there."""
