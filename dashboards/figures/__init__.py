"""Figures: one file each; a figure is a named question and a function from its answer to Plotly.

`FIGURES` lists them in the order of the report. The functions take the answer's Arrow table and
know nothing of databases or pages, so the report and the dashboard draw the same pictures.
"""

from dashboards.figures.base import FIGURES, FigureSpec, draw, spec_of

__all__ = ["FIGURES", "FigureSpec", "draw", "spec_of"]
