"""Trains a connector between a Whisper encoder and a frozen text LLM: one resource, and no part of a study."""
