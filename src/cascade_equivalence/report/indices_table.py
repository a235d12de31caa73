"""Other indices of agreement beside kappa, and how much wider the intervals of whole texts are than those of clips."""

import polars as pl

from cascade_equivalence.conditions import CLEAN
from cascade_equivalence.report.columns import Numbers, PairColumn, estimate, number
from cascade_equivalence.report.display import UNDEFINED, Display, decimal, interval, percent
from cascade_equivalence.report.naming import task_title
from cascade_equivalence.report.table import Table

INDICES = {"kappa_max": "kappa max", "pabak": "PABAK", "ac1": "AC1"}


def _share_of_max(found: Numbers) -> float | None:
    """Kappa over kappa max; None where kappa max is 0 or missing."""
    kappa, largest = found["kappa"].value, found["indices.kappa_max"].value
    return kappa / largest if largest and kappa is not None else None


def _by_rows(name: str) -> dict[str, PairColumn]:
    """The interval of rows, and by how much that of whole texts is wider; None where either has no width."""

    def width_ratio(found: Numbers) -> float | None:
        wide, narrow = (
            None if low is None or high is None else high - low
            for _, low, high, *_ in (found[name], found[f"by_rows.{name}"])
        )
        return wide / narrow if wide and narrow and wide > 0 and narrow > 0 else None

    ends = {f"{name}_by_rows_{end}": number(f"by_rows.{name}", end) for end in ("low", "high")}
    return ends | {f"{name}_width_ratio": PairColumn(pl.Float64, width_ratio)}


def _reasons(found: Numbers) -> str | None:
    """Why indices are missing."""
    reasons: dict[str, list[str]] = {}
    for name, title in INDICES.items():
        if reason := found[f"indices.{name}"].reason:
            reasons.setdefault(reason, []).append(title)
    return "; ".join(f"{', '.join(names)}: {reason}" for reason, names in reasons.items()) or None


COLUMNS: dict[str, PairColumn] = {
    **estimate("kappa"),
    "kappa_max": number("indices.kappa_max"),
    "share_of_max": PairColumn(pl.Float64, _share_of_max),
    **estimate("pabak", "indices.pabak"),
    **estimate("ac1", "indices.ac1"),
    **estimate("observed_agreement"),
    **_by_rows("kappa"),
    **_by_rows("observed_agreement"),
    "indices_reason": PairColumn(pl.String, _reasons),
}


def display(table: pl.DataFrame, confidence: float) -> Display:
    """One row a pair and task on clean speech."""
    shown = table.filter(pl.col("condition") == CLEAN)
    rows = [
        [
            f"{each['system']} vs. {each['reference']}",
            task_title(each["task"]),
            f"{each['rows']:,} ({each['groups']:,})",
            interval(each["kappa"], each["kappa_low"], each["kappa_high"]),
            _ends(each["kappa_by_rows_low"], each["kappa_by_rows_high"]),
            _ratio(each["kappa_width_ratio"]),
            decimal(each["kappa_max"]),
            percent(each["share_of_max"]),
            *(interval(each[name], each[f"{name}_low"], each[f"{name}_high"]) for name in ("pabak", "ac1")),
            percent(each["observed_agreement"]),
            _ratio(each["observed_agreement_width_ratio"]),
        ]
        for each in shown.iter_rows(named=True)
    ]
    reasons = dict.fromkeys(part for reason in shown["indices_reason"].drop_nulls() for part in reason.split("; "))
    return Display(
        name="indices",
        title="Agreement by other indices, and by the paper's intervals",
        columns=[
            "Pair",
            "Task",
            "Clips (texts)",
            f"κ [{confidence:.0%}]",
            "[paper's way: clips drawn]",
            "κ width ratio",
            "κ max",
            "κ / κ max %",
            "PABAK",
            "AC1",
            "Same answer %",
            "Same answer width ratio",
        ],
        rows=rows,
        remarks=[
            "κ max is the largest κ of two systems that give each answer as often as these do. Below 1, they favour "
            "different answers; at 0, no agreement beyond chance is possible, as where one always gives the same "
            "answer. κ / κ max is the share of it that is reached.",
            "PABAK is κ as if all answers were equally likely by chance; Gwet's AC1 takes chance agreement to be low "
            "where one answer prevails. Both count the labels of the task, and “invalid” if it occurs. Where they are "
            "high and κ is low, most answers are one and the same, and κ rests on the others.",
            "Clips drawn: percentiles of draws of clips, the paper's way, as if the voices of one text were "
            "independent. All other intervals count whole texts. Width ratio is how many times wider that makes "
            "an interval.",
            *(f"{UNDEFINED}: {reason}." for reason in reasons),
        ],
        text_columns=2,
    )


def _ends(low: float | None, high: float | None) -> str:
    return UNDEFINED if low is None else f"[{decimal(low)}, {decimal(high)}]"


def _ratio(ratio: float | None) -> str:
    return UNDEFINED if ratio is None else f"{ratio:.1f}"


TABLE = Table(
    name="indices",
    section="agreement",
    columns=COLUMNS,
    display=lambda tables, confidence: display(tables.indices, confidence),
)
