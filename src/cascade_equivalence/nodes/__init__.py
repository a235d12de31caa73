"""The work of nodes that takes more than one call: reads a stage's files, calls the packages below, writes results."""
