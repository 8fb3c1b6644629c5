"""The report of a campaign of 10 000 candidates: its size, and how long a headless Chromium takes to open it.

    python tests/benchmarks/report.py [--candidates 10000] [--calculations 200] [--folder DIR] [--busy N] [--screenshots DIR]

The pool: the structures of Ag-Pd again and again, each time with its cell strained a little at random, and energies that rise with
the strain. Times run from the start of the navigation, until the picture of the phase diagram is painted and until the diagram to
point at is drawn; medians of five openings. With `--busy N`, while N other processes compute.
"""

from __future__ import annotations

import argparse
import gzip
import multiprocessing
import os
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np
from ase.io import read, write
from playwright.sync_api import sync_playwright

from hullscout.campaign import Setup, read_origin, run
from hullscout.figures import save_result
from hullscout.figures.report import read_report, write_report

POOL = Path(__file__).parents[2] / "campaigns" / "agpd" / "agpd.extxyz.gz"
CHROMIUM = "/usr/bin/chromium"
CAMPAIGN = """
name = "{n} candidates"
elements = ["Ag", "Pd"]
pool.path = "pool.extxyz"
stop.max_calculations = {calculations}
"""
# When the picture that stands in for the diagram was painted, in ms.
PAINTED = """
window.painted = null;
new PerformanceObserver((list) => {
  for (const entry of list.getEntries()) if (entry.id === "still-picture") painted ??= entry.renderTime || entry.startTime;
}).observe({ type: "largest-contentful-paint", buffered: true });
"""
STEP = "async () => { const began = performance.now(); await showMoment(5); return performance.now() - began; }"


def strained_pool(path: Path, n: int) -> None:
    """Write n candidates: the committed ones, then strained copies of them."""
    rng = np.random.default_rng(0)
    with gzip.open(POOL, "rt") as file:
        originals = read(file, index=":", format="extxyz")
    frames = []
    for number in range(n):
        frame = originals[number % len(originals)].copy()
        strain = np.zeros((3, 3)) if number < len(originals) else rng.normal(scale=0.01, size=(3, 3))
        energy = originals[number % len(originals)].get_potential_energy() + 20.0 * len(frame) * float(
            (strain**2).sum()
        )
        frame.set_cell(frame.cell.array @ (np.eye(3) + strain), scale_atoms=True)
        frame.info = {"id": f"{frame.info['id']}-{number // len(originals)}", "energy": energy}
        frames.append(frame)
    write(path, frames, format="extxyz")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--candidates", type=int, default=10_000)
    parser.add_argument("--calculations", type=int, default=200)
    parser.add_argument("--folder", type=Path, help="where the campaign is kept, to be used again")
    parser.add_argument("--busy", type=int, default=0, help="processes that keep the machine busy meanwhile")
    parser.add_argument("--screenshots", type=Path, help="folder for pictures of the page, wide and narrow")
    arguments = parser.parse_args()
    folder = arguments.folder or Path(tempfile.mkdtemp())
    if not (folder / "campaign.toml").exists():
        folder.mkdir(parents=True, exist_ok=True)
        strained_pool(folder / "pool.extxyz", arguments.candidates)
        text = CAMPAIGN.format(n=arguments.candidates, calculations=arguments.calculations)
        (folder / "campaign.toml").write_text(text)
    if not (folder / "run" / "result.json").exists():
        began = time.perf_counter()
        save_result(folder / "run", *run(Setup(read_origin(folder / "campaign.toml")), folder / "run"))
        print(f"campaign: {time.perf_counter() - began:.1f} s")
    began = time.perf_counter()
    reported = read_report(folder / "run")
    read = time.perf_counter()
    report = folder / "report.html"
    write_report(report, reported)
    print(
        f"read: {read - began:.1f} s, written: {time.perf_counter() - read:.1f} s, {report.stat().st_size / 1e6:.2f} MB"
    )
    others = [multiprocessing.Process(target=compute_for_ever, daemon=True) for _ in range(arguments.busy)]
    for other in others:
        other.start()
    measure(report, arguments.screenshots)
    for other in others:
        other.kill()


def compute_for_ever() -> None:
    while True:
        np.linalg.svd(np.ones((200, 200)))


def measure(report: Path, screenshots: Path | None) -> None:
    """Open the report in a new page several times and print how long it takes until it is drawn."""
    print(f"load average before: {os.getloadavg()[0]:.1f} on {os.cpu_count()} processors")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM)
        for width, height in ((1400, 900), (400, 1600)):
            seen, drawn, steps = [], [], []
            for _ in range(5):
                page = browser.new_page(viewport={"width": width, "height": height})
                page.set_default_timeout(300_000)
                page.add_init_script(PAINTED)
                page.goto(report.as_uri(), wait_until="commit")
                page.wait_for_selector("html[data-whole]", state="attached")
                seen.append(page.evaluate("window.painted / 1000"))
                drawn.append(page.evaluate("Number(document.documentElement.dataset.ready) / 1000"))
                if screenshots and len(drawn) == 1:
                    page.screenshot(path=screenshots / f"report-{width}.png", full_page=True)
                steps.append(page.evaluate(STEP))
                page.close()
            print(
                f"{width} px: picture after {statistics.median(seen):.2f} s, diagram drawn after {statistics.median(drawn):.2f} s "
                f"(longest {max(drawn):.2f}); a step of the slider {statistics.median(steps):.0f} ms"
            )
        browser.close()


if __name__ == "__main__":
    main()
