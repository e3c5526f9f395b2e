"""The report: one self-contained HTML file that says what was measured, how well, and on what.

`facts.py` gathers what the page says in words, `report.py` puts questions, figures and pictures
into `report.html`. Nothing is loaded from anywhere else when the page is opened.
"""

from dashboards.gallery import GalleryItem
from dashboards.report.report import build_report

__all__ = ["GalleryItem", "build_report"]
