"""What `import meshkit_fastprobe` costs a host that embeds it, beside what it stands on."""

from benchmarks.scenario import Metric, Reach, Scenario

SCENARIO = Scenario(
    title="Import time",
    ours="import_fastprobe",
    contenders=("import_fastprobe", "import_dependencies", "import_numpy", "import_trio"),
    workloads={"fresh process": {}},
    metrics={
        "import_s": Metric("import", "s", more_is_better=None),
        "wall_s": Metric("until the first name is used", "s", more_is_better=None),
        "modules": Metric("modules loaded", "", more_is_better=None),
        "rss_mib": Metric("resident memory gained", "MiB", more_is_better=None),
    },
    reach=(Reach("import meshkit_fastprobe and Diagnostics, s", "fresh process", "wall_s", 0.25),),
    notes="""\
The package imports its names when they are first used; the reach is held against the time until `Diagnostics` is there,
not against the empty shell. `import_dependencies` imports numpy, trio, msgspec and prometheus_client. Byte code is
cached, files are in the page cache.
""",
)
