"""Health probes and safe chaos for control planes."""
