"""Analysis: what the report and the dashboard ask of a results database.

`questions.py` runs a question by name: one SQL file in `sql/` and, where a mean is asked, an
interval by `bootstrap.py` (percentile cluster bootstrap over subjects, protocol section 6).
"""

from engine.analysis.bootstrap import REPLICATES, Interval, interval, interval_of_sums
from engine.analysis.questions import QUESTIONS, run

__all__ = ["QUESTIONS", "REPLICATES", "Interval", "interval", "interval_of_sums", "run"]
