"""Analysis: what the report and the dashboard ask of a results database.

`questions.py` runs a question by name: one SQL file in `sql/` and, where SQL is not enough, a step
in Python: means with intervals by `bootstrap.py` (percentile cluster bootstrap over subjects,
protocol section 6), correlations by `factors.py`, words by `methods.py`. `kept.py` keeps
the answers.
"""

from engine.analysis.bootstrap import REPLICATES, Interval, interval, interval_of_sums
from engine.analysis.questions import QUESTIONS, run

__all__ = ["QUESTIONS", "REPLICATES", "Interval", "interval", "interval_of_sums", "run"]
