"""The page for every pair of eyes: contrast that can be read, states that differ without colour, and a telephone's width."""

from __future__ import annotations

import base64
import math
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from .conftest import Host
from .dashboard_scene import EXPERIMENT, VIEWS, open_view, served, settled, sign_in

pytestmark = [pytest.mark.feature, pytest.mark.once, pytest.mark.slow]

STATES = ("healthy", "degraded", "unhealthy", "unknown", "paused")
MARKS = "●▲✖○❚"
MIN_TEXT = 4.5
"""WCAG 2.2, 1.4.3: of text against what is behind it."""
MIN_DRAWN = 3.0
"""WCAG 2.2, 1.4.11: of what has to be seen to understand."""
MIN_APART = 12.0
"""CIE76: two colours beside each other are told apart from some 2 on; small marks need several times as much."""
DEFICIENCIES = ("none", "protanopia", "deuteranopia", "tritanopia", "achromatopsia")
TELEPHONE = {"width": 360, "height": 740}

FAINT = """
() => {
    const context = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
    const rgba = (text) => {
        context.clearRect(0, 0, 1, 1);
        context.fillStyle = text;
        context.fillRect(0, 0, 1, 1);
        const [red, green, blue, alpha] = context.getImageData(0, 0, 1, 1).data;
        return [red, green, blue, alpha / 255];
    };
    const over = ([red, green, blue, alpha], below) =>
        [red, green, blue].map((one, at) => one * alpha + below[at] * (1 - alpha));
    const behind = (element) => {
        if (element === null) return rgba(getComputedStyle(document.body).backgroundColor).slice(0, 3);
        return over(rgba(getComputedStyle(element).backgroundColor), behind(element.parentElement));
    };
    const light = (colour) => {
        const linear = (one) => (one <= 0.04045 ? one / 12.92 : ((one + 0.055) / 1.055) ** 2.4);
        const [red, green, blue] = colour.map((one) => linear(one / 255));
        return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
    };
    const found = [];
    const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    let texts = 0;
    while (walker.nextNode()) {
        const element = walker.currentNode.parentElement;
        const text = walker.currentNode.textContent.trim();
        if (text === "" || !element.checkVisibility() || element.closest(":disabled, option, .hidden")) continue;
        texts += 1;
        const ground = behind(element);
        const [one, other] = [light(over(rgba(getComputedStyle(element).color), ground)), light(ground)];
        const contrast = (Math.max(one, other) + 0.05) / (Math.min(one, other) + 0.05);
        const where = `${element.tagName}.${element.className}`;
        if (contrast < MIN_TEXT) found.push(`${text.slice(0, 40)} (${where}): ${contrast.toFixed(2)}`);
    }
    return [texts, [...new Set(found)]];
}
""".replace("MIN_TEXT", str(MIN_TEXT))

PIXELS = """
async (text) => {
    const bytes = Uint8Array.from(atob(text), (one) => one.charCodeAt(0));
    const image = await createImageBitmap(new Blob([bytes], { type: "image/png" }));
    const context = new OffscreenCanvas(image.width, image.height).getContext("2d");
    context.drawImage(image, 0, 0);
    const found = [];
    for (let x = 10; x < image.width; x += 20) found.push([...context.getImageData(x, 10, 1, 1).data].slice(0, 3));
    return found;
}
"""


def linear(value: float) -> float:
    value /= 255
    return value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4


def lightness(colour: list[int]) -> float:
    red, green, blue = (linear(one) for one in colour)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: list[int], other: list[int]) -> float:
    low, high = sorted((lightness(one), lightness(other)))
    return (high + 0.05) / (low + 0.05)


def lab(colour: list[int]) -> tuple[float, float, float]:
    red, green, blue = (linear(one) for one in colour)
    x = (0.4124 * red + 0.3576 * green + 0.1805 * blue) / 0.9505
    y = 0.2126 * red + 0.7152 * green + 0.0722 * blue
    z = (0.0193 * red + 0.1192 * green + 0.9505 * blue) / 1.0890
    fx, fy, fz = (one ** (1 / 3) if one > 0.008856 else 7.787 * one + 16 / 116 for one in (x, y, z))
    return 116 * fy - 16, 500 * (fx - fy), 200 * (fy - fz)


def apart(one: list[int], other: list[int]) -> float:
    return math.dist(lab(one), lab(other))


def in_force(page: Page, host: Host) -> None:
    """An experiment that runs, so that all there is to show of one is shown."""
    for name in ("chaos.enabled", "chaos.null.enabled"):
        assert host.ask("toggles", "set", name, "on").returncode == 0
    open_view(page, host, "chaos")
    page.click("text=Prepare")
    page.fill("dialog input[name=host]", "cp-1")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_text_stands_out_from_what_is_behind_it(host: Host, tmp_path: Path, page: Page, scheme: Any) -> None:
    served(host, tmp_path)
    page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
    page.goto(f"http://{host.listen}/")
    assert page.evaluate(FAINT)[1] == []
    sign_in(page, host, "wrong")
    expect(page.locator("[role=alert]")).not_to_be_empty()
    assert page.evaluate(FAINT)[1] == []
    sign_in(page, host)
    settled(page)
    assert host.ask("probes", "pause", "svc-00003").returncode == 0
    in_force(page, host)
    faint = page.evaluate(FAINT)[1]
    assert faint == [], ("the question", faint)
    page.click("dialog button[type=submit]")
    expect(page.locator(".banner")).to_contain_text("rehearsal")
    for view in VIEWS:
        open_view(page, host, view)
        texts, faint = page.evaluate(FAINT)
        assert texts > 20
        assert faint == [], (view, faint)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_states_differ_whatever_colours_are_seen(host: Host, tmp_path: Path, page: Page, browser: Browser, scheme: Any) -> None:
    served(host, tmp_path)
    page.emulate_media(color_scheme=scheme)
    page.goto(f"http://{host.listen}/")
    page.evaluate(
        """(names) => document.body.replaceChildren(...names.map((name, at) => {
            const swatch = document.createElement("div");
            Object.assign(swatch.style, {
                position: "fixed", top: 0, left: `${at * 20}px`, width: "20px", height: "20px", background: `var(--${name})`,
            });
            return swatch;
        }))""",
        [*STATES, "panel"],
    )
    sight = page.context.new_cdp_session(page)
    reader = browser.new_page()
    for deficiency in DEFICIENCIES:
        sight.send("Emulation.setEmulatedVisionDeficiency", {"type": deficiency})
        shot = page.screenshot(clip={"x": 0, "y": 0, "width": 20 * (len(STATES) + 1), "height": 20})
        *colours, panel = reader.evaluate(PIXELS, base64.b64encode(shot).decode())
        found = dict(zip(STATES, colours, strict=True))
        for state, colour in found.items():
            assert deficiency != "none" or contrast(colour, panel) >= MIN_DRAWN, (deficiency, state, contrast(colour, panel))
        for one, other in combinations(("healthy", "degraded", "unhealthy"), 2):  # what an operator must never confuse
            distance = apart(found[one], found[other])
            print(scheme, deficiency, one, other, round(distance, 1))
            assert distance >= MIN_APART, (deficiency, one, other, distance)
    reader.close()


def test_the_marks_of_the_heat_map_differ_in_shape(host: Host, tmp_path: Path, page: Page) -> None:
    served(host, tmp_path)
    sign_in(page, host)
    expect(page.locator("main")).to_contain_text("Groups")
    shapes = page.evaluate(
        """async (states) => {
            const { HeatMap } = await import("/dashboard/heatmap.js");
            const map = new HeatMap();
            document.querySelector("main").replaceChildren(map.element);
            const groups = states.map((state) => ({
                tags: { cluster: "eu-1", namespace: state }, probes: 1, stale: 0, states: { [state]: 1 }, successRatio: 1,
            }));
            map.update(groups);
            await new Promise(requestAnimationFrame);
            return [...map.element.querySelectorAll("canvas.marks")].map((canvas) => {
                const { data } = canvas.getContext("2d").getImageData(0, 0, 11, 11);
                return data.filter((_, at) => at % 4 === 3).map((alpha) => Number(alpha > 127)).join("");
            });
        }""",
        list(STATES),
    )
    assert len(set(shapes)) == len(STATES)
    for one, other in combinations(shapes, 2):
        assert sum(a != b for a, b in zip(one, other, strict=True)) > 12  # of 100 pixels


def test_every_state_is_told_by_a_mark_or_a_word(host: Host, tmp_path: Path, page: Page) -> None:
    served(host, tmp_path)
    sign_in(page, host)
    settled(page)
    for view in VIEWS:
        open_view(page, host, view)
        told = page.locator("main .state:visible").all_text_contents()
        assert view in {"chaos", "audit", "toggles"} or told
        assert [text for text in told if not any(mark in text for mark in MARKS) and "stale" not in text] == [], view


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nothing_is_wider_than_a_telephone(host: Host, tmp_path: Path, page: Page, scheme: Any) -> None:
    where = f'name = "{"a-name-of-many-words-" * 5}"\nnamespace = "{"quite-a-namespace-" * 3}"\n'
    long = f'[[probe]]\n{where}kind = "tcp"\ntarget = "127.0.0.1:9"\ninterval = "2s"\ntimeout = "1s"\n'
    served(host, tmp_path, probes=29, more=EXPERIMENT + long)
    page.emulate_media(color_scheme=scheme)
    page.set_viewport_size({"width": TELEPHONE["width"], "height": TELEPHONE["height"]})
    page.goto(f"http://{host.listen}/")
    wide = """() => [document.documentElement, ...document.querySelectorAll("body, body *")]
        .filter((one) => one.scrollWidth > one.clientWidth + 1 && (one === document.documentElement
            || ["auto", "scroll"].includes(getComputedStyle(one).overflowX)))
        .map((one) => `${one.tagName}.${one.className}: ${one.scrollWidth} > ${one.clientWidth}`)"""
    assert page.evaluate(wide) == []
    sign_in(page, host)
    settled(page)
    for view in VIEWS:
        open_view(page, host, view)
        assert page.evaluate(wide) == [], view
    in_force(page, host)
    assert page.evaluate(wide) == [], "the question"
    page.click("dialog button[type=submit]")
    expect(page.locator(".banner")).to_contain_text("rehearsal")
    assert page.evaluate(wide) == [], "an experiment runs"
