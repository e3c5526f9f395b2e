"""Out of a collection into formats others read: COCO and nnU-Net.

Every export says in its report what the format could not hold, and comes with the recipe that
reads it back: the same objects, pixel for pixel.
"""

from __future__ import annotations

from engine.collection.export.report import ExportReport
from engine.collection.export.run import FORMATS, export_collection

__all__ = ["FORMATS", "ExportReport", "export_collection"]
