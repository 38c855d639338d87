"""The generated pages: `python -m issuance.docpages` writes all of them, `--check` says which are out of date."""
