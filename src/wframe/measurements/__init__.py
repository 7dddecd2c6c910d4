"""Measurements on finished runs that need the network: each a job that writes a small table, which a judge reads."""
