"""The desk: one door for people. It holds rights, writes the audit and calls the library; pages and commands are its
clients and know no password of a database.

Writes alone: desk_answer.
Called by: commands, docpages.
"""
