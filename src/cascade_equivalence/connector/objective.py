"""What the first stage minimises: the token at each moment, then the token sequence at any moments."""

from collections.abc import Sequence

import torch
from torch.nn import functional


def sequence_posteriors(
    log_probs: torch.Tensor, counts: torch.Tensor, targets: Sequence[Sequence[int]]
) -> torch.Tensor:
    """Probability that each output says each class, given that the whole says its target sequence.

    These are the state posteriors of connectionist temporal classification (Graves et al. 2006, equation 16). The
    cross-entropy towards them has the gradient of the CTC loss, while the normalisation of ``log_probs`` may run over
    more classes than are given here: only those in the targets matter.

    Args:
        log_probs: Log-probabilities (clips, outputs, classes), class 0 the blank.
        counts: Outputs of each clip (clips,).
        targets: Class sequence of each clip.

    Returns:
        Posteriors (clips, outputs, classes). A clip whose target does not fit into its outputs has zeros, as has
        everything behind a clip's outputs.
    """
    leaf = log_probs.detach().float().transpose(0, 1).contiguous().requires_grad_()
    flat = torch.tensor([label for row in targets for label in row], dtype=torch.long)
    lengths = torch.tensor([len(row) for row in targets])
    with torch.enable_grad():
        loss = functional.ctc_loss(leaf, flat, counts.cpu(), lengths, blank=0, reduction="none", zero_infinity=True)
        (gradient,) = torch.autograd.grad(loss.sum(), leaf)
    # The library's gradient is probability minus posterior, made for inputs that are normalised over these classes.
    posteriors = (leaf.detach().exp() - gradient).clamp(min=0).transpose(0, 1)
    within = torch.arange(posteriors.shape[1]) < counts.cpu()[:, None]
    possible = torch.isfinite(loss.detach()) & (loss.detach() > 0)
    return (posteriors * (within & possible[:, None])[..., None]).to(log_probs.device)


def frame_loss(logits: torch.Tensor, labels: torch.Tensor, unknown: int, smoothing: float) -> torch.Tensor:
    """Mean cross-entropy of the labelled outputs.

    Args:
        logits: (clips, outputs, classes).
        labels: Class of each output (clips, outputs); ``unknown`` where there is none.
        unknown: The label to leave out.
        smoothing: Label smoothing.
    """
    return functional.cross_entropy(
        logits.flatten(0, 1), labels.flatten(), ignore_index=unknown, label_smoothing=smoothing
    )


def sequence_loss(
    logits: torch.Tensor, counts: torch.Tensor, targets: Sequence[Sequence[int]], blank: int
) -> torch.Tensor:
    """CTC objective per output, over all classes, computed on the classes that occur.

    The value is a cross-entropy towards :func:`sequence_posteriors`; its gradient is that of the CTC loss divided by
    the number of outputs.

    Args:
        logits: (clips, outputs, classes).
        counts: Outputs of each clip.
        targets: Class sequence of each clip.
        blank: Class of the blank.
    """
    used = sorted({label for row in targets for label in row})
    place = {label: index + 1 for index, label in enumerate(used)}
    classes = torch.tensor([blank, *used], device=logits.device)
    log_probs = logits[..., classes] - logits.logsumexp(-1, keepdim=True)
    posteriors = sequence_posteriors(log_probs, counts, [[place[label] for label in row] for row in targets])
    return -(posteriors * log_probs).sum() / posteriors.sum().clamp(min=1)
