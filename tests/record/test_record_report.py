"""The page: complete, self-contained, escaped."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from record_samples import HOSTILE, a_hostile_record, a_record, a_round, some_hash

from fedproof.record import FinalCheck, L1Delivery, render_report, write_report
from fedproof.record.charts import Series, line_chart, nice_ticks, stacked_bars
from fedproof.record.report import main, outcome

pytestmark = pytest.mark.reference

VOID = {"meta", "link", "img", "br"}


class Tags(HTMLParser):
    """Collects tags and text, and checks that every element is closed in its turn."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: set[str] = set()
        self.text: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.feed(page)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.add(tag)
        self.attributes += attrs
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text.append(data)


def test_page_shows_the_run() -> None:
    page = Tags(render_report(a_record()))
    text = " ".join(" ".join(page.text).split())
    for expected in (
        "3 rounds proven, verified on L2 and recorded on L1",
        "79.2%",
        "from 10.0%",
        "floating point (79.4%)",
        "27",
        "3 of 3",
        "Development SRS",
        "Emulated: Arbitrum L2, by anvil with an emulated ArbSys",
        "ModelRegistry",
        "41.0 MiB",
        "0.8.37",
        some_hash("model 3"),
    ):
        assert expected in text
    assert text.count("✓ match") == 3


def test_page_loads_nothing() -> None:
    html = render_report(a_record())
    page = Tags(html)
    assert not page.seen & {"script", "iframe", "img", "object", "base", "form"}
    links = [value for name, value in page.attributes if name in {"src", "href", "action", "xlink:href"}]
    assert links == ["data:,"]
    assert not re.search(r"url\(|@import|https?://", html)


def test_hostile_text_is_text() -> None:
    html = render_report(a_hostile_record())
    page = Tags(html)
    assert not page.seen & {"script", "img"}
    assert "<script" not in html
    assert not any(name.startswith("on") for name, _ in page.attributes)
    assert HOSTILE in "".join(page.text)
    assert "{{ 7*7 }}" in html


def test_mismatch_is_loud() -> None:
    other = L1Delivery(route="layerzero", tx=some_hash("t"), gas=1, model_hash=some_hash("other"))
    record = a_record(rounds=[a_round(1, 0.1, 0.1, l1=other)])
    html = render_report(record)
    assert "L1 holds another model hash than L2 in round 1" in html
    assert "✗ MISMATCH" in html
    assert some_hash("other") in html
    assert some_hash("model 1") in html


def test_outcomes() -> None:
    assert outcome(a_record(error="chain gone")) == "Stopped after 3 rounds"
    assert outcome(a_record(rounds=[])) == "No round was finished"
    foreign = FinalCheck(model_hash=some_hash("a"), registry_hash=some_hash("b"))
    assert "final weights are not" in outcome(a_record(final_check=foreign))
    assert outcome(a_record(rounds=[a_round(1, 0.1, 0.1)])).startswith("1 round proven")


@pytest.mark.parametrize("count", [0, 1, 100])
def test_any_number_of_rounds(count: int) -> None:
    rounds = [a_round(number, 0.5, 0.5) for number in range(1, count + 1)]
    Tags(render_report(a_record(rounds=rounds, transactions=[], final_check=None)))


def test_production_run_does_not_warn() -> None:
    record = a_record()
    srs = record.srs.model_copy(update={"development": False})
    network = record.network.model_copy(update={"devnet": False, "emulated": []})
    html = render_report(a_record(srs=srs, network=network))
    assert "Development SRS" not in html
    assert "Emulated" not in html


def test_command_writes_the_page(tmp_path: Path) -> None:
    a_record().write(tmp_path / "run.json")
    main([str(tmp_path / "run.json"), str(tmp_path / "page.html")])
    write_report(a_record(), tmp_path / "again.html")
    assert (tmp_path / "page.html").read_text() == (tmp_path / "again.html").read_text()


@given(st.floats(min_value=1e-6, max_value=1e9))
def test_ticks_cover_the_largest(largest: float) -> None:
    ticks = nice_ticks(largest)
    assert ticks[0] == 0
    assert ticks[-1] >= largest * (1 - 1e-9)
    assert 2 <= len(ticks) <= 7


def test_charts_of_nothing() -> None:
    assert "polyline" in line_chart(["before"], [Series("a", [0.5])], title="t", x_title="x")
    assert "rect" not in stacked_bars(["r"], [Series("a", [0.0])], title="t", x_title="x")
    assert stacked_bars([], [Series("a", [])], title="t", x_title="x").startswith("<svg")
