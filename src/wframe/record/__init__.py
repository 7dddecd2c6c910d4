"""The record of results: what made each, whether it still holds, and a release that others can verify."""
