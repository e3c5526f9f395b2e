"""Images and labels on their way from raw files to what an evaluator reads.

The raw side (`raw`, `recipe`, `readers/`, `recipes/`) turns a folder of files into curated cases:
oriented pixels, layered labels, nothing guessed. The stored side keeps them: `ingest` writes whole
Zarr v3 arrays and catalog fragments, `catalog` opens the tables, `sample` lays a study over them,
`reading` brings pixels back and `intensity` makes the 8-bit image a model sees. `phantoms` are
cases made by a program. Exported here are the plain values that cross these doors; the rest is
imported from its module, so that importing a contract costs numpy only.
"""

from engine.collection.case import CuratedCase, Label, SourceFile
from engine.collection.contract import ObjectRef, SlicePixels, SliceRef

__all__ = ["CuratedCase", "Label", "ObjectRef", "SlicePixels", "SliceRef", "SourceFile"]
