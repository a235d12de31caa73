"""Making a connector between a Whisper encoder and a frozen text LLM."""
