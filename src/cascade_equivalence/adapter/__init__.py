"""Training of a voice adapter, which lets a speech LLM hear how something is said."""
