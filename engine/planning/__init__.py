"""Planning: from a study and a catalog to cells, the identity of each, and what they need.

`ground` reads the files and describes the models, `plan` lays out the cells, `tasks` holds millions
of them cheaply, `unit_data` hashes what their numbers depend on, `admission` states the memory.
"""
