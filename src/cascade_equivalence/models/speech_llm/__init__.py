"""Speech LLMs: an audio tower, a connector and a text LLM that reads the connector's outputs as if they were words."""
