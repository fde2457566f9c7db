"""`python -m meshkit_fastprobe` is `fastprobe`."""

from meshkit_fastprobe.cli import main

main()
