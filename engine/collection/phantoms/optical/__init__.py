"""Photographs and micrographs, light or electrons: eye, skin, colon, stained tissue, cells.

`pictures.py` is what they share: views, star-shaped outlines, strokes, cameras and clean masks.
"""
