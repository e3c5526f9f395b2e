"""Evaluation: one slice to rows, for every strategy and trial; `engine.evaluate` does whole units.

A `scene` holds what the trials of a slice share, `embedding` embeds slices together, `trials`
orders them into batches, `fanout` answers and scores them, `rows` is what comes out.
"""
