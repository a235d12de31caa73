"""Records of how each file of a study was made, and what uses them: checking results and comparing two studies."""
