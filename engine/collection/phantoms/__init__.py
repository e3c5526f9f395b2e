"""Phantoms: generated medical images with exact masks, in the paper's 18 modalities.

Twelve families of images, each a name in `families.py`, draw subjects from a seed and write raw
files as scanners, cameras and microscopes leave them; the recipes `phantom_*` turn those into a
collection like any other. `base.py` is what a family is; `anatomy.py`, `tidy.py` and
`raw_files.py` are shared by all; the families live by what forms their pictures: `trunk/` (CT and
MR of neck to thigh), `mr/` (heads and hearts), `beams/` (X-rays and ultrasound), `optical/`
(photographs and micrographs). The generated data are dedicated to the public domain (CC0-1.0);
they show no patient and are no atlas of anatomy.
"""

from engine.collection.phantoms.base import Family, Shot
from engine.collection.phantoms.families import FAMILIES, orders, write_subjects

__all__ = ["FAMILIES", "Family", "Shot", "orders", "write_subjects"]
