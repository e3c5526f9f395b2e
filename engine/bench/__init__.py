"""What a study costs, measured on its own slices: by stage, and beside the plain way and the floor.

Plain Python without Ray. Nothing here changes a number of a study; what is measured may be written
down (`Costs`) and carried to a plan.
"""
