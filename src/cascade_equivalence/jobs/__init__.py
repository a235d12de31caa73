"""How a node's process runs: log and record, claims and locks, processes that serve nodes, clean-up in SLURM."""
