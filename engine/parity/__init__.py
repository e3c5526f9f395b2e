"""Parity: the fast path beside the plain one. `compare` does it trial by trial, `sample` over a
sample of a study, `gate` holds a study to the bound it demands.
"""
