"""Columns of the tidy tables on the inside of opened models."""

import polars as pl

from cascade_equivalence.report.columns import Schema, estimate_schema

PROBES: Schema = {
    "model": pl.String,
    "untrained": pl.Boolean,
    "layer": pl.Int64,
    "width": pl.Int64,
    "probe": pl.String,
    "measure": pl.String,
    **estimate_schema("value"),
    "shuffled": pl.Float64,
    "shuffled_highest": pl.Float64,
    "shuffles": pl.Int64,
    "selectivity": pl.Float64,
    **estimate_schema("untrained_value"),
    "first_layer": pl.Int64,
    **estimate_schema("first_value"),
    **estimate_schema("difference_first"),
    **estimate_schema("difference_untrained"),
    "voice_value": pl.Float64,
    "prior": pl.Float64,
    "feasible_share": pl.Float64,
    "blank_share": pl.Float64,
    "label_entropy": pl.Float64,
    "of_test_value": pl.Float64,
    "uniform_value": pl.Float64,
    "penalty": pl.Float64,
    "frames": pl.Int64,
    "train": pl.Int64,
    "test": pl.Int64,
    "left_out": pl.Int64,
    "voices_left_out": pl.String,
    "reason": pl.String,
}
"""A model, trained or not, x layer x probe. ``value`` is an R2 or a decodability (``measure``); ``shuffled`` is the
mean over probes that were trained on shuffled targets, ``untrained_value`` the same layer's with untrained blocks,
``first_value`` the first layer's; ``difference_first`` and ``difference_untrained`` are the value minus these, on the
same test items; ``prior`` sees a constant in place of the states. Energy and pitch are taken within voices; an R2 is
against the mean of the training targets; ``voice_value`` is that of knowing the voice alone, of the value as it is. Of
a probe of the value as it is, ``of_test_value`` and ``uniform_value`` are against the mean of the test targets (the
paper's and scikit-learn's definition)."""

LENS: Schema = {
    "model": pl.String,
    "layer": pl.Int64,
    "utterances": pl.Int64,
    "without_tokens": pl.Int64,
    "kept": pl.Float64,
    **estimate_schema("precision"),
    **estimate_schema("recall"),
    **estimate_schema("chance_precision"),
    **estimate_schema("chance_recall"),
    "top": pl.Int64,
    **estimate_schema("top_recall"),
    **estimate_schema("chance_top_recall"),
    **estimate_schema("above_chance"),
    "first_layer": pl.Int64,
    **estimate_schema("gain"),
    **estimate_schema("tuned_precision"),
    **estimate_schema("tuned_recall"),
    **estimate_schema("tuned_gain"),
    "tuned_utterances": pl.Int64,
    **estimate_schema("all_precision"),
    **estimate_schema("all_recall"),
    "reason": pl.String,
}
"""Model x layer. ``kept``: mean tokens an utterance; ``above_chance``: precision minus that of pairings with other
texts, utterance by utterance; ``top_recall``: recall where the ``top`` likeliest tokens of each state count, and
by chance; ``gain``: precision minus that of the first layer, utterance by utterance.
``tuned``: of the test utterances alone, none of whose items the tuned lens has seen (``tuned_utterances``);
``tuned_gain``: its precision minus that of the lens, utterance by utterance; ``all``: over all positions of the prompt,
where their states were kept."""

SUFFICIENCY: Schema = {
    "model": pl.String,
    "system": pl.String,
    "implicit": pl.String,
    "explicit": pl.String,
    "explicit_asr": pl.String,
    "task": pl.String,
    "rows": pl.Int64,
    "groups": pl.Int64,
    **estimate_schema("kappa_implicit"),
    **estimate_schema("kappa_explicit"),
    **estimate_schema("kappa_difference"),
    "paired": pl.Boolean,
    **estimate_schema("system_accuracy"),
    **estimate_schema("implicit_accuracy"),
    **estimate_schema("explicit_accuracy"),
    "chance": pl.Float64,
    "system_against_chance": pl.String,
    "implicit_against_chance": pl.String,
    "explicit_against_chance": pl.String,
    "reason": pl.String,
}
"""Speech LLM x its implicit cascade x a cascade with the same LLM x task, clean speech. ``kappa_difference``: implicit
minus explicit; where no contrast was asked for (``paired`` is false) its ends are the widest that the two intervals
allow."""

ERASERS: Schema = {
    "model": pl.String,
    "concept": pl.String,
    "control": pl.String,
    "layer": pl.Int64,
    "rank": pl.Int64,
    "columns": pl.Int64,
    "classes": pl.Int64,
    "rows": pl.Int64,
    "pooling": pl.String,
    "shrinkage": pl.Boolean,
    "tolerance": pl.Float64,
    "largest_dropped": pl.Float64,
    "removed_variance": pl.Float64,
    "removed_variance_lowest": pl.Float64,
    "removed_variance_highest": pl.Float64,
    "probe_before": pl.Float64,
    "probe_after": pl.Float64,
    "held_out_before": pl.Float64,
    "held_out_after": pl.Float64,
    "text_before": pl.Float64,
    "text_after": pl.Float64,
    "label_entropy": pl.Float64,
    "labels": pl.String,
    "outputs": pl.Int64,
    "reason": pl.String,
}
"""Model x concept x layer, and for each concept its controls (``control``), which have its rank. ``removed_variance``:
share of the states' variance (of a control the mean over its draws, and the ends); ``probe``: what a fresh linear probe
reads of the concept on the rows it was fitted on; ``held_out``: what one reads of other utterances; ``text``: what the
layer's CTC probe reads of the text; ``labels``: which of the ``outputs`` that a CTC probe has in a frame label it."""

ERASURE: Schema = {
    "model": pl.String,
    "task": pl.String,
    "arm": pl.String,
    "positions": pl.String,
    "concept": pl.String,
    "variant": pl.String,
    "rows": pl.Int64,
    "groups": pl.Int64,
    "parsed": pl.Int64,
    "forced_rows": pl.Int64,
    "kl_rows": pl.Int64,
    "seen_rows": pl.Int64,
    **estimate_schema("accuracy"),
    **estimate_schema("parse_rate"),
    **estimate_schema("accuracy_among_parsed"),
    **estimate_schema("forced_accuracy"),
    **estimate_schema("kl"),
    **estimate_schema("loss"),
    **estimate_schema("accuracy_change"),
    **estimate_schema("parse_rate_change"),
    **estimate_schema("forced_accuracy_change"),
    **estimate_schema("loss_change"),
    **estimate_schema("unseen_accuracy"),
    **estimate_schema("unseen_accuracy_change"),
    "chance": pl.Float64,
    "own_chance": pl.Float64,
    "against_chance": pl.String,
    "reason": pl.String,
}
"""Model x task x arm x positions x concept x variant. Changes are against nothing erased, on the same items; ``loss``:
negative log-likelihood of the right label's words, in nats; seen are
items that the erasers were fitted on, too, unseen the others. Single
draws of a random control have no intervals, since their spread over draws is what is asked for."""

ERASURE_CONTROLS: Schema = {
    "model": pl.String,
    "task": pl.String,
    "arm": pl.String,
    "positions": pl.String,
    "concept": pl.String,
    "variant": pl.String,
    "control": pl.String,
    "other_model": pl.String,
    "measure": pl.String,
    "value": pl.Float64,
    "draws": pl.Int64,
    "control_mean": pl.Float64,
    "control_lowest": pl.Float64,
    "control_highest": pl.Float64,
    "at_or_below": pl.Int64,
    "p": pl.Float64,
    **estimate_schema("difference"),
    "reason": pl.String,
}
"""A condition of the erasure x control x measure (accuracy, forced choice). ``p`` = (draws of the control at or below
the value + 1) / (draws + 1); ``difference``: the condition minus the mean of the control's draws, item by item. The
control ``text`` is the same eraser while the model reads the true text: there ``difference`` is the change while it
hears minus the change while it reads, and there is no p. Of CTC the control ``boc`` is BoC erased instead, and where
there is an ``other_model``, ``difference`` is that of the model minus that of the other one."""
