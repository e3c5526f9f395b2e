"""Replicas: miniatures of data sets one may not pass on, laid out as their recipes say.

A recipe reads files; this room is its inverse. For every series of a recipe and every case of its
`replica:` block it draws a phantom image and one mask per structure, and writes files at exactly
the recipe's paths, in the format of their ending. What a correct ingest must find (`TrueCase`) is
known before anything is written and without any code of the readers, so the two can be compared.
`spec.py` is the block's grammar, `targets.py` says which files there are, `bodies.py` and
`regions.py` draw, `grid.py` knows where voxels lie, `writers/` hold one family of formats each.
"""

from engine.collection.replica.make import Replicated, write_replica
from engine.collection.replica.spec import Replica
from engine.collection.replica.truth import TrueCase

__all__ = ["Replica", "Replicated", "TrueCase", "write_replica"]
