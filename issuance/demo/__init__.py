"""The demonstration: one synthetic cohort through its whole life on the local stack, and the proof that it adds up.

Called by: commands.
"""
