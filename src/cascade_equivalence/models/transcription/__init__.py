"""Speech to text: Whisper in several engines, and word errors."""
