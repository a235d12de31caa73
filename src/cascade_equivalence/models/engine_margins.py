"""The first token at which two engines' answers differ, and the model's margin there: a small one may be rounding."""

from collections.abc import Sequence
from dataclasses import dataclass

from cascade_equivalence.config.study import AnswerConfig
from cascade_equivalence.models.answering import open_model
from cascade_equivalence.models.question import ModelFiles, Question, sound_of

END = "(end)"


@dataclass(frozen=True)
class FirstDifference:
    """The first token at which two answers differ.

    Attributes:
        position: Tokens that both begin with.
        first: What the one goes on with; ``END`` where it is over.
        second: What the other goes on with.
        margin: Log-probability of the one's token less that of the other's (natural logarithm), as the project's own
            loop has it.
    """

    position: int
    first: str
    second: str
    margin: float


def first_differences(
    model: ModelFiles, config: AnswerConfig, answers: Sequence[tuple[Question, str, str]]
) -> list[FirstDifference]:
    """Find where pairs of answers part.

    The answers are tokenized anew, so a text that a model wrote in other tokens than its tokenizer would is seen in the
    tokenizer's. A line break counts as an end.

    Args:
        model: Resolved weights of a text LLM, or of a speech LLM where the questions have sound.
        config: Arithmetic.
        answers: Question, and two answers that differ.

    Returns:
        One difference a pair, in order.
    """
    from cascade_equivalence.models.scoring import score

    text, ear = open_model(model, config)
    ends = [*text.end_tokens(text.model.generation_config), text.tokenize("\n")[-1]]
    found = []
    for question, *pair in answers:
        prompt, heard = text.render(question.messages, question.answer_prefix), None
        if ear is None:
            row = text.tokenize(prompt)
        else:
            (row,), heard = ear.rows([prompt], [sound_of(question).decode()])
        tokens = text.continuations(row, pair)
        shared = 0
        while shared < min(map(len, tokens)) and tokens[0][shared] == tokens[1][shared]:
            shared += 1
        likely = score(text, [[*row, *tokens[0][:shared]]], [[]], heard=heard).first[0]
        next_ones = [answer[shared : shared + 1] for answer in tokens]
        margin = likely[next_ones[0] or ends].max() - likely[next_ones[1] or ends].max()
        first, second = (str(text.tokenizer.decode(one)) if one else END for one in next_ones)
        found.append(FirstDifference(shared, first, second, float(margin)))
    return found
