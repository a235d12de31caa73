"""The node of systems that are asked again: changes the items, and maps the answers back to the original options."""

from collections.abc import Mapping, Sequence

import polars as pl

from cascade_equivalence.config.study import AnswerConfig
from cascade_equivalence.tasks.base import Item
from cascade_equivalence.tasks.repeats import Variant, original, reordered


def asked_items(items: Sequence[Item], variant: Variant) -> list[Item]:
    """Items as a variant asks them, each with the label that it has then."""
    return [reordered(item, variant.order(item.id, len(item.options))) for item in items]


def restored(answers: pl.DataFrame, items: Sequence[Item], variant: Variant) -> pl.DataFrame:
    """Answers to the items of :func:`asked_items` as answers to the original items.

    Args:
        answers: What ``judged`` gives.
        items: The original items.
        variant: What was changed.

    Returns:
        The same with ``label`` and ``parsed`` as letters of the original options; ``raw`` is what was said.
    """
    orders = {item.id: variant.order(item.id, len(item.options)) for item in items}
    letters = {
        name: [original(value, orders[item]) for item, value in answers.select("id", name).iter_rows()]
        for name in ("label", "parsed")
    }
    return answers.with_columns(**{name: pl.Series(values, dtype=pl.String) for name, values in letters.items()})


def in_words(variant: Variant, usual: AnswerConfig, changed: Mapping[str, object]) -> str:
    """What was changed, with the values where it is a setting.

    Args:
        variant: The variant.
        usual: How the system answers otherwise, its arithmetic resolved.
        changed: The settings that are changed, with their new values.
    """
    settings = (
        f"{key.replace('_', ' ')} {value} in the place of {getattr(usual, key)}" for key, value in changed.items()
    )
    return "; ".join(settings) or variant.title
