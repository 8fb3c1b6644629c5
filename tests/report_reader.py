"""A report as a person reads it, in a browser."""

import csv
import io

DRAWN = "html[data-whole]"
# A busy machine opens a page in much more than the second that it takes.
PATIENCE_MS = 120_000


class Reader:
    """A page of a report, with everything that its console said."""

    def __init__(self, browser, report, *, width=1400, height=900, scheme="light"):
        self.page = browser.new_page(viewport={"width": width, "height": height}, color_scheme=scheme)
        self.page.set_default_timeout(PATIENCE_MS)
        self.errors, self.requests = [], []
        self.page.on("console", lambda message: self.errors.append(message.text) if message.type == "error" else None)
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.goto(report.as_uri())
        self.page.wait_for_selector(DRAWN, state="attached")

    def trace(self, name):
        """x and y of the diagram's points whose legend begins with a name."""
        found = self.page.evaluate(
            "name => diagram.data.filter(t => t.name.startsWith(name)).map(t => [t.x, t.y].map(v => v.filter(n => n !== null)))",
            name,
        )
        return found[0]

    def vertex_at(self, k):
        """Where the k-th vertex of the hull is on the screen, in pixels."""
        return self.page.evaluate(
            """k => {
                const { left, top, width, height } = document.querySelector("#diagram .nsewdrag").getBoundingClientRect();
                const hull = document.getElementById("diagram").data.find(t => t.name.startsWith("hull found"));
                const { x: [x0, x1], energy: [low, high] } = campaign.view;
                return [left + width * (hull.x[k] - x0) / (x1 - x0), top + height * (high - hull.y[k]) / (high - low)];
            }""",
            k,
        )

    def hover_label(self, k):
        """What is said of the k-th vertex when the mouse is on it."""
        self.page.locator("#diagram").scroll_into_view_if_needed()
        x, y = self.vertex_at(k)
        self.page.mouse.move(x - 30, y - 30)
        self.page.mouse.move(x, y)
        return self.page.locator("#diagram .hoverlayer .hovertext").first.text_content()

    def column(self, k):
        return self.page.locator(f"#rows td:nth-child({k})").all_text_contents()

    def download(self):
        with self.page.expect_download() as waiting:
            self.page.locator("#csv").click()
        with open(waiting.value.path(), newline="", encoding="utf-8") as file:  # noqa: PTH123  newline for csv
            return waiting.value.suggested_filename, list(csv.DictReader(io.StringIO(file.read())))
