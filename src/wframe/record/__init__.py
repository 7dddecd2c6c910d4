"""The record of results: how each was made, whether it is still valid, and releases that others can verify."""
