"""Partners are onboarded, rotated, suspended and removed while others run: their entry in the registry, their access,
and who did what when.

Called by: desk.
"""
