"""One file a scenario: a workload, who contends, and what we set out to reach."""
