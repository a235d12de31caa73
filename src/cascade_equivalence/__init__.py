"""Does a speech LLM behave like a Whisper -> LLM cascade with the same LLM inside?"""

__version__ = "0.1.0"
