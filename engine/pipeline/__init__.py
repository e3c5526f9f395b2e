"""Streams units to evaluators: the only room that knows Ray.

Zarr chunks are decoded by read tasks into one row per unit; a pool of actors embeds, fans out,
scores and commits; one small receipt per unit travels back to the driver. Which worker did what,
in which order, never changes a number.
"""
