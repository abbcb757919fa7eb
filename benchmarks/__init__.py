"""Benchmarks: dicomio beside its peers, measured in turns in the same run. See `python -m benchmarks --help`."""
