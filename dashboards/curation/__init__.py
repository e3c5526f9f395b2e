"""The curation report: one self-contained page of what a collection holds and what looks wrong.

`page.py` puts the numbers of `engine.collection.curation` into `curation.html`; `overlay.py` draws
slices with their labels, `pictures.py` says which; `figures.py` draws the charts.
"""

from dashboards.curation.page import Page, build

__all__ = ["Page", "build"]
