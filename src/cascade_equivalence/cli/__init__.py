"""The command line: check a config, estimate its cost, show a study, verify, compare and pack its results."""
