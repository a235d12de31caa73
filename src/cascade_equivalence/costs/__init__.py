"""What work on a GPU takes, for needs and for the estimate: figures with their sources, formulas on sizes."""
