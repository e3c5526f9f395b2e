"""Heads and hearts in MR: anatomy and disease as maps of tissue, pictures by signal equations.

`physics.py` holds the equations, coils and noise; every sequence and time point of a subject is
computed from one map, so they agree as a patient's series do.
"""
