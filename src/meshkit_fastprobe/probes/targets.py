"""Targets as people write them: `host:port`, `[v6]:port`. Parsing text is the work of the configuration layer below."""

from meshkit_fastprobe.config.addresses import is_literal, split_host_port

__all__ = ["is_literal", "split_host_port"]
