"""What goes on inside open models: states, probes, logit lens, concept erasure."""
