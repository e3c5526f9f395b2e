"""Trunks: body plans (`abdomen.py`) painted with organs (`canvas.py`), seen in CT and in MR."""
