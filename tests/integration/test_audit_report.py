# SPDX-License-Identifier: LGPL-2.1-or-later
"""The page of `lwactl audit report`, by what a browser makes of it: read by a parser, and rendered by Chromium at the
width of a phone, of a desk and of paper. The broker is one that only pretends, so that it can be malicious."""

import html
import html.parser
import json
import os
import re
import shutil
import stat
import subprocess
import sys
import time

import pytest

sys.path.insert(0, os.path.dirname(__file__))
import audit_pages  # noqa: E402
from fake_broker import BusError  # noqa: E402
from test_lwactl import LWACTL, broker, bus, environment, run  # noqa: E402, F401

DAY = 86400
KINDS = {"household": audit_pages.household, "malice": audit_pages.malice}

TAGS = set("html head meta title style body header h1 h2 p strong time code section main dl div dt dd table caption thead "
           "tbody tr th td span bdi wbr br figure figcaption svg g rect line details summary footer ul li".split())
ATTRIBUTES = set("lang charset http-equiv content name class role aria-label aria-hidden tabindex scope viewbox "
                 "preserveaspectratio x y width height x1 x2 y1 y2".split())
SENTENCES = {
    "en", "utf-8", "viewport", "referrer", "robots", "noindex", "no-referrer", "color-scheme", "light dark", "none", "true",
    "width=device-width, initial-scale=1", "Content-Security-Policy", "State of the trail",
    "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'",
    "Tokens given and refused over time; the numbers follow as a table"}
VOID = {"meta", "wbr", "br", "rect", "line"}


class Page(html.parser.HTMLParser):
    """Elements, attributes and texts; every element is closed in its order."""

    def __init__(self, text):
        super().__init__(convert_charrefs=True)
        self.tags, self.attributes, self.values, self.texts, self.open, self.rows = set(), set(), set(), [], [], []
        self.bare = []  # texts outside of <bdi>
        self.feed(text)
        self.close()
        assert not self.open

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}
        self.values |= {value for _, value in attrs}
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.handle_starttag(tag, attrs)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.texts.append(data)
        if not {"bdi", "style", "title"} & set(self.open):
            self.bare.append(data)

    def handle_comment(self, data):
        raise AssertionError(data)

    handle_pi = unknown_decl = handle_comment


def make(bus, broker, target, kind="household", *options, now=None):  # noqa: F811
    broker.replies = KINDS[kind](now or int(time.time()))
    r = run(bus, "audit", "report", "--html", str(target), *options)
    assert (r.returncode, r.stderr) == (0, b""), r
    return target.read_text(encoding="utf-8")


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_on_the_page_is_of_the_data(bus, broker, tmp_path, kind):  # noqa: F811
    text = make(bus, broker, tmp_path / "page.html", kind)
    page = Page(text)
    assert page.tags <= TAGS, page.tags - TAGS
    assert page.attributes <= ATTRIBUTES, page.attributes - ATTRIBUTES
    ours = ("held matrix refusals changes spans verdict ok no none n u more label good bad warn muted note numbers scroll "
            "given refused axis scale table row rowgroup columnheader rowheader cell region img col").split()
    strange = [v for v in page.values if not re.fullmatch(r"[\d. -]*", v) and not set(v.split()) <= set(ours)]
    assert sorted(strange) == sorted(SENTENCES & set(strange)) and len(strange) >= 8
    bad = [c for c in text if (ord(c) < 0x20 and c != "\n") or 0x7f <= ord(c) <= 0x9f or c in "\u202e\u2066\u2067\u200f\u200b\ufeff"]
    assert not bad


def test_hostile_texts_are_shown_as_texts(bus, broker, tmp_path):  # noqa: F811
    text = make(bus, broker, tmp_path / "page.html", "malice")
    page = Page(text)
    whole = "".join(page.texts)
    for words in ("<script>alert(1)</script>", "onerror=alert(1)", "</title></style><h1 id=evil>", "&lt;b&gt;&#60;b&#62;",
                  "U+202Egnp.exeU+202C", "U+001B[31mU+0007U+000DU+000AU+0009U+007FU+009B", "\u05e9\u05dc\u05d5\u05dd"):
        assert words in whole, words
    assert re.search("W{256}\u2026 and 3744 more", whole)
    assert "\u0301" * 4 not in text
    # The direction of a text ends with it: all of them are isolated.
    bare = "".join(page.bare)
    assert not re.search("alert|evil|\u05e9|\u05d0|W{9}", bare)


@pytest.mark.parametrize("kind", KINDS)
def test_the_page_needs_nothing_from_elsewhere(bus, broker, tmp_path, kind):  # noqa: F811
    text = make(bus, broker, tmp_path / "page.html", kind)
    policy = re.search(r'<meta http-equiv="Content-Security-Policy" content="([^"]*)">', text)[1]
    assert policy == "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
    assert text.index("Content-Security-Policy") < text.index("<title>") < text.index("<style>")
    style = text[text.index("<style>"):text.index("</style>")]
    assert not re.search(r"url\(|@import|@font-face|//|expression", style)
    assert not {"src", "href", "style", "srcset", "action", "xlink:href"} & Page(text).attributes
    assert text.startswith('<!DOCTYPE html>\n<html lang="en">') and '<meta charset="utf-8">' in text


def test_the_page_tells_what_there_is(bus, broker, tmp_path):  # noqa: F811
    now = int(time.time())
    text = make(bus, broker, tmp_path / "page.html", now=now)
    records = []
    after = 0
    while True:
        _, (found, after) = broker.replies["Query"]({"since": ("x", now - 30 * DAY)}, after, 1000)
        records += found
        if not after:
            break
    events = [r["event"][1] for r in records]
    numbers = dict(re.findall(r"<dt>([^<]*)</dt><dd>(\d+)</dd>", text))
    assert numbers["tokens are out now"] == "2" and numbers["apps hold one"] == "2"
    assert int(numbers["tokens were given to an app"]) == events.count("token-disclosed") > 300
    given, refused = ([r for r in records if r["event"][1] == event] for event in ("token-disclosed", "token-denied"))
    n_refused = len(refused) + sum(r["repeats"][1] for r in refused)
    assert int(numbers["refusals"]) == n_refused > len(refused)
    assert int(numbers["times the same token again"]) == sum(r["repeats"][1] for r in given)
    spans = re.findall(r"<title>([\d-]{10}): (\d+) given, (\d+) refused</title>", text)
    assert sum(int(given) for _, given, _ in spans) == events.count("token-disclosed")
    assert sum(int(refused) for _, _, refused in spans) == n_refused
    plain = " ".join("".join(Page(text).texts).split())
    assert f"lwactl revoke {audit_pages.PLAYER} --user alice" in plain
    assert re.search(r"unit:lampd\.service ?Asked for ?music::library:read ?Why ?deny ?by the default ?Times ?15", plain)
    assert "The trail is intact" in plain and "policy-rejected" in plain and "grants.d/lamp.conf:3" in plain
    assert f"{len(records)} records of this time were read" in plain
    tables = re.findall(r"<table.*?</table>", text, re.S)
    assert len(tables) == 5
    for table in tables:
        heads = re.findall(r'<th scope="col"', table)
        for row in re.findall(r"<tr .*?</tr>", table[table.index("<tbody"):], re.S):
            assert row.count("<td ") + row.count('<th scope="row"') == len(heads)


def test_options_of_the_report(bus, broker, tmp_path):  # noqa: F811
    now = int(time.time())
    target = tmp_path / "page.html"
    text = make(bus, broker, target, "household", "--since", "2d", "--own", now=now)
    for member in ("Query", "Matrix"):
        options = broker.last(member)[1][0]
        assert options["own"] == ("b", True) and abs(options["since"][1] - (now - 2 * DAY)) < 3700
    assert broker.last("WhoHas")[1][1] == {"own": ("b", True)}
    assert broker.count("Verify") == 0 and "was not verified" in text and "own accounts only" in text
    plain = "".join(Page(text).texts)
    assert "policy-rejected" not in plain and "broker-crashed" in plain
    r = run(bus, "audit", "report")
    assert r.returncode == 2 and b"needs --html FILE" in r.stderr


def test_a_trail_that_cannot_be_verified(bus, broker, tmp_path):  # noqa: F811
    broker.replies = audit_pages.replies([], [], [])
    r = run(bus, "audit", "report", "--html", str(tmp_path / "page.html"))
    assert (r.returncode, r.stderr) == (0, b"")
    text = (tmp_path / "page.html").read_text()
    assert "was not verified" in text and "No app holds a token." in text and "Nothing was refused." in text


def test_a_damaged_trail_is_said_at_once(bus, broker, tmp_path):  # noqa: F811
    text = make(bus, broker, tmp_path / "page.html", "malice")
    assert text.index("The trail is DAMAGED") < text.index("<h2>") and "and 10 more" in text


def test_the_file_is_private_and_whole_or_as_before(bus, broker, tmp_path):  # noqa: F811
    target = tmp_path / "page.html"
    target.write_text("old")
    target.chmod(0o644)
    broker.replies = audit_pages.household(int(time.time()))
    pages = broker.replies["Query"]

    def fail_later(filter, after, limit):
        if after:
            raise BusError("AuditUnavailable", "The audit trail cannot be read.")
        return pages(filter, after, 100)

    broker.replies["Query"] = fail_later
    r = run(bus, "audit", "report", "--html", str(target))
    assert r.returncode == 9 and target.read_text() == "old"
    make(bus, broker, target)
    assert stat.S_IMODE(target.stat().st_mode) == 0o600 and os.listdir(tmp_path) == ["page.html"]
    link = tmp_path / "link.html"
    link.symlink_to(target)
    r = run(bus, "audit", "report", "--html", str(link))
    assert r.returncode == 1 and link.is_symlink()


# --- colours --------------------------------------------------------------------------------------------------


def luminance(colour):
    parts = [int(colour[i:i + 2], 16) / 255 for i in (1, 3, 5)]
    red, green, blue = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(a, b):
    brighter, darker = sorted((luminance(a), luminance(b)), reverse=True)
    return (brighter + 0.05) / (darker + 0.05)


def test_contrast(bus, broker, tmp_path):  # noqa: F811
    """WCAG 2, level AA: 4.5 for text, 3 for what a picture shows; in light, in dark and on paper."""
    text = make(bus, broker, tmp_path / "page.html")
    schemes = [dict(re.findall(r"--([a-z]+):(#[0-9a-f]{6})", found)) for found in re.findall(r":root\{([^}]*)\}", text)]
    assert len(schemes) == 3 and schemes[0] == schemes[2]
    for scheme in schemes:
        for name in ("fg", "muted", "good", "bad", "warn"):
            for ground in ("bg", "card"):
                assert contrast(scheme[name], scheme[ground]) >= 4.5, (name, ground, scheme)
        assert contrast(scheme["bar"], scheme["card"]) >= 3 and contrast(scheme["bad"], scheme["card"]) >= 3


# --- how it looks ---------------------------------------------------------------------------------------------

# A page around the page, in a frame as wide as wanted (a window is never narrower than 500): it reads the layout, which
# the page's own policy lets no script of its own do.
FRAME = """<!DOCTYPE html><meta charset="utf-8"><body style="margin:0"><iframe style="border:0" width="{width}" height="900"
    srcdoc="{page}"></iframe><script>addEventListener("load", () => {{
    const view = document.querySelector("iframe").contentWindow, page = view.document, found = [];
    const style = e => view.getComputedStyle(e);
    let shown = 0;
    for (const e of page.body.querySelectorAll("*")) {{
        const r = e.getBoundingClientRect();
        const is_hidden = e.closest("thead") && style(e.closest("thead")).position == "absolute";
        if (is_hidden || e.closest("svg g") || !(r.width > 0 && r.height > 0)) continue;
        shown++;
        if (r.right > view.innerWidth + 1 || r.left < -1) found.push(e.tagName + "." + e.className);
    }}
    document.body.textContent = "measured" + JSON.stringify({{
        inner: view.innerWidth, page: page.documentElement.scrollWidth, found: found.slice(0, 5), shown,
        cards: style(page.querySelector(".matrix tbody td:not(.none)")).display == "grid",
        dark: view.matchMedia("(prefers-color-scheme: dark)").matches, ground: style(page.body).backgroundColor}});
}});</script>"""


def chromium(tmp_path, *arguments):
    program = shutil.which("chromium")
    assert program, "the package chromium is missing; `./dev test --all` installs it"
    folder = tmp_path / "chromium"
    command = [program, "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
               "--disable-background-networking", "--disable-crash-reporter", "--disable-breakpad", f"--user-data-dir={folder}"]
    env = {"PATH": "/usr/bin:/bin", "HOME": str(tmp_path), "LC_ALL": "C.UTF-8", "TZ": "UTC"}
    done = subprocess.run([*command, *arguments], env=env, stdin=subprocess.DEVNULL, capture_output=True, timeout=120, check=False)
    shutil.rmtree(folder, ignore_errors=True)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout.decode()


def measure(tmp_path, text, width):
    frame = tmp_path / "frame.html"
    frame.write_text(FRAME.format(width=width, page=html.escape(text)), encoding="utf-8")
    out = chromium(tmp_path, "--window-size=1400,900", "--dump-dom", f"file://{frame}")
    found = json.loads(re.search(r"measured(\{.*\})", out)[1])
    assert found["inner"] == width
    return found


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_on_a_phone(bus, broker, tmp_path, kind):  # noqa: F811
    text = make(bus, broker, tmp_path / "page.html", kind)
    found = measure(tmp_path, text, 360)
    assert found["page"] <= 360 and found["found"] == [] and found["cards"] and found["shown"] > 200


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_at_a_desk(bus, broker, tmp_path, kind):  # noqa: F811
    text = make(bus, broker, tmp_path / "page.html", kind)
    found = measure(tmp_path, text, 1280)
    assert found["page"] <= 1280 and not found["cards"] and found["shown"] > 200
    if kind == "household":
        assert found["found"] == []


@pytest.mark.slow
def test_on_paper(bus, broker, tmp_path):  # noqa: F811
    """The style for paper, at the width of a page with its margins; and a browser that prints it."""
    page = tmp_path / "page.html"
    text = make(bus, broker, page)
    assert "@media print" in text and "@media screen" in text
    found = measure(tmp_path, text.replace("@media screen", "@media speech").replace("@media print", "@media screen"), 700)
    assert found["page"] <= 700 and found["found"] == [] and not found["cards"]
    chromium(tmp_path, f"--print-to-pdf={tmp_path}/page.pdf", f"file://{page}")
    printed = (tmp_path / "page.pdf").read_bytes()
    assert printed.startswith(b"%PDF") and 2 <= len(re.findall(rb"/Type\s*/Page\b", printed)) <= 6


@pytest.mark.slow
def test_a_browser_finds_nothing_to_run(bus, broker, tmp_path):  # noqa: F811
    """Neither does anything of the data become an element, nor would it run if it did."""
    page = tmp_path / "page.html"
    text = make(bus, broker, page, "malice")
    dom = chromium(tmp_path, "--dump-dom", f"file://{page}")
    assert not re.search(r"<(script|img|link|iframe|object|a)\b|<h1 id|onerror=\"|onmouseover=\"", dom.split("<body>")[1])
    run_it = "<script>document.documentElement.lang = 'it-ran'</script>"
    for policy, runs in ((text, False), (text.replace("default-src 'none'", "default-src 'unsafe-inline'"), True)):
        page.write_text(policy.replace("<main>", run_it + "<main>"), encoding="utf-8")
        assert ("<html lang=\"it-ran\"" in chromium(tmp_path, "--dump-dom", f"file://{page}")) == runs


# --- a long trail ---------------------------------------------------------------------------------------------


def peak_of(bus, broker, *arguments):  # noqa: F811
    """The most memory that it had up to its last call, in KiB."""
    peaks = []

    def verify(_):
        with open(f"/proc/{process.pid}/status", encoding="ascii") as file:
            peaks.append(int(re.search(r"VmHWM:\s+(\d+) kB", file.read())[1]))
        return "a{sv}", (audit_pages.verified(),)

    broker.replies["Verify"] = verify
    process = subprocess.Popen([LWACTL, *arguments], env=environment(bus), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    assert process.wait(120) == 0 and len(peaks) == 1
    return peaks[0]


@pytest.mark.slow
def test_memory_does_not_grow_with_the_trail(bus, broker, tmp_path):  # noqa: F811
    """30 pages take no more than 3; every refusal is another, and yet the page says how many it leaves out."""
    now = int(time.time())

    def pages(n):
        page = [audit_pages.record(i, now - i, "token-denied" if i % 2 else "account-added", f"user:app{i}") for i in range(1, 501)]

        def query(_, after, limit):
            for i, record in enumerate(page, after + 1):
                record["sequence"], record["app"] = ("t", i), ("s", f"user:app{i}")
            return "aa{sv}t", (page, after + 500 if after + 500 < n * 500 else 0)

        return {**audit_pages.replies([], [], []), "Query": query}

    target = tmp_path / "page.html"
    peaks = []
    for n in (3, 30):
        broker.replies = pages(n)
        peaks.append(peak_of(bus, broker, "audit", "report", "--html", str(target)))
    assert peaks[1] < 1.3 * peaks[0], peaks
    text = target.read_text()
    assert "15000 records of this time were read" in text
    assert "7400 older refusals have no room here" in text and "7450 older ones have no room here" in text
    assert target.stat().st_size < 300000
