"""What the nodes of a study do, as far as it is more than one call: between a stage's files and the packages below."""
