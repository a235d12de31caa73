"""The tables, figures and page that a study ends in."""
