"""One file a contender: `run(workload)` does the work and returns its metrics."""
