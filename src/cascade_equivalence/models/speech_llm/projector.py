"""Ultravox's connector: stacked encoder frames through a SwiGLU network of two linear layers."""

import torch
from torch import nn
from transformers.models.llama.modeling_llama import LlamaRMSNorm

EPSILON = 1e-6


class UltravoxProjector(nn.Module):
    """Maps encoder states to vectors that stand for words in the text LLM's input.

    ``stack_factor`` consecutive frames, in time order, become one vector; then RMS norm, linear, SwiGLU (the second
    half is the gate), linear, with one more RMS norm. Linear layers have no bias.

    Args:
        encoder_width: Width of an encoder state.
        text_width: Width of the text LLM's embeddings.
        hidden_size: Width before the gate halves it.
        stack_factor: Encoder frames a vector.
        norm_init: First value of the norms' weights.
        ln_mid: Where the second norm stands: before the second linear layer (Ultravox 0.5 and later, width
            ``hidden_size / 2``) or, when false, behind it (0.4 and earlier, width ``text_width``).
    """

    def __init__(
        self,
        encoder_width: int,
        text_width: int,
        hidden_size: int = 4096,
        stack_factor: int = 8,
        norm_init: float = 0.4,
        ln_mid: bool = True,
    ) -> None:
        super().__init__()
        self.stack_factor = stack_factor
        stacked, gated = encoder_width * stack_factor, hidden_size // 2
        self.ln_pre = LlamaRMSNorm(stacked, eps=EPSILON)
        self.linear_1 = nn.Linear(stacked, hidden_size, bias=False)
        self.ln_mid: nn.Module = LlamaRMSNorm(gated, eps=EPSILON) if ln_mid else nn.Identity()
        self.linear_2 = nn.Linear(gated, text_width, bias=False)
        self.ln_post: nn.Module = nn.Identity() if ln_mid else LlamaRMSNorm(text_width, eps=EPSILON)
        for norm in (self.ln_pre, self.ln_mid, self.ln_post):
            if isinstance(norm, LlamaRMSNorm):
                nn.init.constant_(norm.weight, norm_init)

    def forward(self, states: torch.Tensor, frames: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Project a batch of pieces.

        The last vector of a piece is filled up with zero frames, as that of a piece by itself is. (Ultravox's published
        code fills it up with what the encoder computed for a batch's padding, where there is a batch.)

        Args:
            states: Encoder states (pieces, frames, encoder width).
            frames: Frames of each piece that are sound (pieces,).

        Returns:
            Vectors (pieces, most vectors, text width), zero behind a piece's own, and how many each piece has
            (pieces,): ``ceil(frames / stack_factor)``, which is the processor's
            ``ceil(mel frames / (2 * stack_factor))``.
        """
        frames = frames.to(states.device)
        padding = torch.arange(states.shape[1], device=states.device) >= frames[:, None]
        states = states.masked_fill(padding[..., None], 0)
        states = nn.functional.pad(states, (0, 0, 0, -states.shape[1] % self.stack_factor))
        stacked = states.reshape(states.shape[0], -1, states.shape[2] * self.stack_factor)
        value, gate = self.linear_1(self.ln_pre(stacked)).chunk(2, dim=-1)
        tokens: torch.Tensor = self.ln_post(self.linear_2(self.ln_mid(nn.functional.silu(gate) * value)))
        return tokens, (frames + self.stack_factor - 1) // self.stack_factor
