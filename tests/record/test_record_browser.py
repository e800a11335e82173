"""The page in a real headless browser, opened from a file, on a desk and on a phone, light and dark."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest
from record_samples import HOSTILE, a_hostile_record, a_record, a_round

from fedproof.record import RunRecord, write_report

pytestmark = pytest.mark.browser

ROOT = Path(__file__).resolve().parents[2]
DRIVER = ROOT / "tests" / "browser"
PAGES = ROOT / "build" / "test-report"
NO_BROWSER = 9


@dataclass(frozen=True)
class Browser:
    """Opens pages; everything the browser unpacks or writes lies in one folder of its own."""

    node: str
    scratch: Path

    def open(self, page: Path, *selectors: str) -> dict:
        shots = page.with_suffix("")
        shots.mkdir(parents=True, exist_ok=True)
        done = subprocess.run(
            [self.node, DRIVER / "open-page.mjs", page, shots, *selectors],
            env=os.environ | {"TMPDIR": str(self.scratch)},
            capture_output=True,
            text=True,
            timeout=180,
            check=False,
        )
        if done.returncode == NO_BROWSER:
            pytest.skip(f"no headless browser can be started here: {done.stderr.strip()[:1000]}")
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Browser:
    node = shutil.which("node")
    if node is None:
        pytest.skip("node is not on the path (make setup installs it)")
    if not (DRIVER / "node_modules").is_dir():
        pytest.skip("tests/browser has no node_modules (make setup installs them)")
    return Browser(node, tmp_path_factory.mktemp("browser"))


def opened(browser: Browser, record: RunRecord, name: str, *selectors: str) -> dict:
    page = PAGES / f"{name}.html"
    write_report(record, page)
    seen = browser.open(page, *selectors)
    assert set(seen["requests"]) == {page.as_uri()}, "the page asked for something beyond itself"
    assert seen["console"] == []
    assert seen["errors"] == []
    for view in seen["views"].values():
        assert Path(view["screenshot"]).stat().st_size > 10_000
        assert view["overflow"] <= 0, f"the page is wider than the screen: {view}"
    return seen


def test_page_opens_offline_and_shows_the_rounds(browser: Browser) -> None:
    record = a_record()
    seen = opened(
        browser,
        record,
        "sample",
        "h1",
        "#accuracy",
        "#accuracies tbody td",
        "#losses tbody td",
        "svg polyline",
        "svg rect",
    )
    texts = seen["texts"]
    assert texts["h1"] == ["3 rounds proven, verified on L2 and recorded on L1"]
    assert texts["#accuracy"] == ["79.2%"]
    cells = texts["#accuracies tbody td"]
    assert cells[0::4] == ["before", "1", "2", "3"]
    assert cells[1::4] == ["10.0%", "30.3%", "58.6%", "79.2%"]
    assert cells[2::4] == ["10.0%", "30.6%", "58.3%", "79.4%"]
    losses = texts["#losses tbody td"]
    assert losses[0::3] == ["before", "1", "2", "3"]
    assert losses[1::3][0] == losses[2::3][0] == "0.5"
    assert losses[1::3][3] != losses[2::3][3]
    # Accuracy and loss, each in integers and in floating point.
    assert len(texts["svg polyline"]) == 4
    assert len(texts["svg rect"]) == 3 * 7
    views = seen["views"]
    assert views["desk-light"]["background"] != views["desk-dark"]["background"]


def test_hostile_text_does_nothing(browser: Browser) -> None:
    seen = opened(
        browser, a_hostile_record(), "hostile", "script", "img", "h1", "#proof-summary td:first-child"
    )
    assert seen["texts"]["script"] == []
    assert seen["texts"]["img"] == []
    assert seen["texts"]["#proof-summary td:first-child"] == [HOSTILE]


def test_many_rounds_fit(browser: Browser) -> None:
    rounds = [a_round(number, 1 - 0.9**number, 1 - 0.91**number) for number in range(1, 101)]
    opened(browser, a_record(rounds=rounds, final_check=None), "many-rounds")


@pytest.mark.skipif(not (ROOT / "build/demo/run.json").is_file(), reason="no demo was run here (make demo)")
def test_the_demo_page(browser: Browser) -> None:
    record = RunRecord.read(ROOT / "build/demo/run.json")
    seen = opened(browser, record, "demo", "#accuracies tbody tr", "h1")
    assert len(seen["texts"]["#accuracies tbody tr"]) == len(record.rounds) + 1
