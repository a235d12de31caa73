"""Answers that others produced: reads them in the formats of other projects, and compares them item by item."""
