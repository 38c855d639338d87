"""The other side of the ratios: plain scripts that do the same reading, writing and sealing, and decide nothing.

Frozen, so that a ratio means the same for ever: never improved, whatever is learned elsewhere. Nothing here imports the
product; tables, schemas and seals are copies of those of the day of freezing, settings come as plain values. What is
read is the applications' CSV file, by the names of its columns. tests/test_bare.py holds the digest of this folder.
"""
