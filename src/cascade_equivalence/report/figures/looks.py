"""Colours, markers and dashes by which figures tell things apart, in the order in which they are given out."""

MARKERS = "os^DvPX<>*"
COLORS = ["#0b5cad", "#c44e00", "#00805e", "#7b3294", "#7a4a12", "#5c5c5c", "#1f9aa0", "#b03060", "#8a8000", "#3a3a8c"]
DASHES = ["-", "--", "-.", ":", (0, (5, 1, 1, 1, 1, 1))]
