"""Phantoms: small generated data sets that look like medical images and belong to nobody.

`write_demo` leaves raw files of four kinds (a CT volume, an MR volume, fundus photographs,
micrographs), which the recipes `demo_*` turn into a collection like any other. `anatomy.py` holds
the shapes, `formation.py` what an apparatus makes of them, one file per kind the scene itself.
Everything follows from a seed. The generated data are dedicated to the public domain (CC0-1.0).
"""

from engine.collection.phantoms.write import write_demo

__all__ = ["write_demo"]
