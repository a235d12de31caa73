"""The typed config of a study."""
