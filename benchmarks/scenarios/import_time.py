"""What `import meshkit_fastprobe` costs a host that embeds it, beside what it stands on."""

from benchmarks.scenario import Metric, Reach, Scenario

SCENARIO = Scenario(
    title="Import time",
    ours="import_fastprobe",
    contenders=("import_fastprobe", "import_dependencies", "import_numpy", "import_trio"),
    workloads={"fresh process": {}},
    metrics={
        "wall_s": Metric("wall", "s", more_is_better=None),
        "modules": Metric("modules loaded", "", more_is_better=None),
        "rss_mib": Metric("resident memory gained", "MiB", more_is_better=None),
    },
    reach=(Reach("import meshkit_fastprobe", "fresh process", "wall_s", 0.25),),
    notes="""\
`import_dependencies` imports numpy, trio, msgspec and prometheus_client: what is left of our time is our own. Byte code
is cached, files are in the page cache.
""",
)
