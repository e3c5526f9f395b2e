"""Thin entry points for `ray job submit`, one per verb; same arguments as the command line."""
