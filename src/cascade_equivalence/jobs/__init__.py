"""How a node's process runs: log and record, claims and locks, forks of a warm process, clean-up in SLURM."""
