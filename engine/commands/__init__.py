"""What each verb of the command line does: reading options, calling rooms, saying what happened.

The only room, beside `cli.py`, that prints. Numbers are made elsewhere.
"""
