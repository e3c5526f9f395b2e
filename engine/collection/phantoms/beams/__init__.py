"""Pictures made by beams: radiographs add up what X-rays cross, sonograms what echoes on the way.

Both are two-dimensional scenes of `outlines.py` in the patient's own coordinates; `projection.py`
and `probe.py` are the two apparatuses.
"""
