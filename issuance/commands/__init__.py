"""The `issuance` command's groups, one module each; they translate and call, nothing else.

Called by: cli.
"""
