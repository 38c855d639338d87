"""The command line's side of the desk: an address, a login, and one way to ask.

Called by: commands.
"""
