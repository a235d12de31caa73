"""What the workflow asks of Python: paths, targets and the parameters a node depends on. Imports nothing heavy."""
