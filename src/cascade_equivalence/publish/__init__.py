"""A finished study for others to read: a Workflow Run RO-Crate, a paper's supplement without licensed texts."""
