"""The tables of the package, in a reader's order. A new one is a file beside this one and a line here."""

from cascade_equivalence.report import (
    attributions_table,
    dial_table,
    dial_trends,
    equivalence_table,
    errors_table,
    gradient_table,
    groupings_table,
    indices_table,
    kappa_loss_table,
    numbers_table,
    patching_table,
    power_table,
    ranking_table,
    retest_table,
    shared_errors,
    silence_table,
    steering_table,
    surplus_table,
    tests_table,
)
from cascade_equivalence.report.costs import COSTS_TABLE
from cascade_equivalence.report.erasure_tables import CONTROLS_TABLE, ERASURE_TABLE
from cascade_equivalence.report.pair_frames import AGREEMENT_TABLE, CONTRASTS_TABLE
from cascade_equivalence.report.probe_tables import LENS_TABLE, PROBES_TABLE
from cascade_equivalence.report.sufficiency_tables import ERASERS_TABLE, SUFFICIENCY_TABLE
from cascade_equivalence.report.system_frames import ACCURACY_TABLE, NOISE_TABLE, TRANSCRIPTION_TABLE
from cascade_equivalence.report.table import Table

KIND = Table
OWN: tuple[Table, ...] = (
    ACCURACY_TABLE,
    AGREEMENT_TABLE,
    indices_table.TABLE,
    equivalence_table.TABLE,
    tests_table.TABLE,
    power_table.TABLE,
    errors_table.TABLE,
    groupings_table.TABLE,
    retest_table.TABLE,
    silence_table.TABLE,
    silence_table.PAIRS_TABLE,
    CONTRASTS_TABLE,
    shared_errors.TABLE,
    NOISE_TABLE,
    ranking_table.TABLE,
    TRANSCRIPTION_TABLE,
    surplus_table.TABLE,
    gradient_table.TABLE,
    COSTS_TABLE,
    PROBES_TABLE,
    LENS_TABLE,
    SUFFICIENCY_TABLE,
    ERASURE_TABLE,
    CONTROLS_TABLE,
    ERASERS_TABLE,
    patching_table.TABLE,
    steering_table.TABLE,
    attributions_table.TABLE,
    kappa_loss_table.TABLE,
    dial_trends.TABLE,
    dial_table.TABLE,
    numbers_table.TABLE,
)
