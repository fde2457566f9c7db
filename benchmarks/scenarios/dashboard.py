"""What an operator's browser feels: how soon the page is of use, how it scrolls, and what a storm of events does to it."""

from benchmarks.scenario import Metric, Reach, Scenario

SCENARIO = Scenario(
    title="The dashboard in Chromium",
    ours="fastprobe_dashboard",
    contenders=("fastprobe_dashboard",),
    workloads={
        "10k probes": {"act": "look", "probes": 10_000, "storm": 0},
        "10k probes, 1,000 transitions a second": {"act": "storm", "probes": 10_000, "storm": 1000, "seconds": 8.0},
        "ten hosts": {"act": "hosts", "hosts": 10, "probes": 100},
    },
    metrics={
        "paint_s": Metric("first useful paint", "s"),
        "list_s": Metric("all probes listed", "s", more_is_better=None),
        "scroll_fps": Metric("scrolling", "frames/s", more_is_better=True),
        "fps": Metric("while it storms", "frames/s", more_is_better=True),
        "longest_gap_ms": Metric("longest time without a frame", "ms"),
        "events_per_s": Metric("events taken", "/s", more_is_better=True),
        "missed": Metric("events missed", ""),
        "hosts_s": Metric("ten hosts shown", "s"),
    },
    needs_target=True,
    repeats=3,
    reach=(
        Reach("dashboard, 10,000 probes: first useful paint, s", "10k probes", "paint_s", 1.5),
        Reach("dashboard, 10,000 probes: scrolling, frames/s", "10k probes", "scroll_fps", 50.0, at_least=True),
        Reach(
            "dashboard, 1,000 transitions/s: longest time without a frame, ms",
            "10k probes, 1,000 transitions a second",
            "longest_gap_ms",
            200.0,
        ),
        Reach("dashboard, 1,000 transitions/s: events missed", "10k probes, 1,000 transitions a second", "missed", 0.0),
        Reach("dashboard: ten hosts shown, s", "ten hosts", "hosts_s", 1.5),
    ),
    notes="""\
A host with 10,000 TCP probes every ten seconds on one core, headless Chromium on the other. First useful paint is the frame
after the overview shows the counts, the heat map and what is broken, from the start of the navigation, in a browser that
has never been here, signed in by a link; the median of five. Scrolling moves the list of all probes by forty pixels a frame
for three seconds. A screen of Chromium without a display has sixty frames a second. While it storms, probes change their
states by reports a thousand times a second, and the list of all of them, worst first, is shown.
""",
)
