"""Curation report: what was collected, and whether the labels fit the images.

`survey` reads the catalog and, of some or all slices, the pixels. `counts.py`, `distributions.py`
and `left_out.py` say what is there; `duplicates.py` finds pictures that occur twice; `suspects.py`
lists labels a person should look at. Nothing here draws or writes: `dashboards/curation/` does.
"""

from engine.collection.curation.report import CurationReport, Effort, survey

__all__ = ["CurationReport", "Effort", "survey"]
