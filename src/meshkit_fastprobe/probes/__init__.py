"""Probe kinds. One file each; `base` says what a kind must offer, `registry` how it becomes known."""
