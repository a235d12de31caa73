"""The formats of answers that are read, the plainest last. A new one is a file beside this one and a line here."""

from cascade_equivalence.imported.every_eval_ever import EVERY_EVAL_EVER
from cascade_equivalence.imported.format import AnswerFormat
from cascade_equivalence.imported.harness import LM_EVAL, LMMS_EVAL
from cascade_equivalence.imported.inspect_log import INSPECT
from cascade_equivalence.imported.own import OWN_ANSWERS
from cascade_equivalence.imported.plain import PLAIN

KIND = AnswerFormat
OWN = (INSPECT, LM_EVAL, LMMS_EVAL, EVERY_EVAL_EVER, OWN_ANSWERS, PLAIN)
