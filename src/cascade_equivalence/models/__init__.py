"""Models: where their weights come from, speech to text, text to answers."""
