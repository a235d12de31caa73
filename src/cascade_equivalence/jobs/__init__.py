"""What a node's process works in: log and record, claims and locks, forks of a warm process, clean-up in SLURM."""
