"""The report: one self-contained HTML file that says what was measured, how well, and on what.

`facts.py` gathers what the page says in words, `report.py` puts questions, figures and pictures
into `report.html`; how the page itself is made is in `dashboards/page/`.
"""

from dashboards.gallery import GalleryItem
from dashboards.report.report import build_report

__all__ = ["GalleryItem", "build_report"]
