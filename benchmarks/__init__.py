"""Benchmarks as arguments: scenarios x contenders, each contender in a fresh process. See README.md."""
