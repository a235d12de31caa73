"""Items of the page in a real browser: chosen, read and listened to."""

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from report_page import SECONDS, TROUBLES, opened
from report_study import PLANTED

from cascade_equivalence.report.browser import KINDS, SHARED

playwright = pytest.importorskip("playwright.sync_api", reason="no playwright to lead a browser with")
if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page


def test_a_clip_plays_and_the_one_before_it_stops(page: "Page") -> None:
    page.get_by_role("button", name="Clear").click()
    clips = page.locator("audio")
    assert clips.count() >= 3 and page.locator("#answer audio").count() == 1
    for player in (clips.nth(0), clips.nth(1)):
        player.evaluate("async clip => { clip.muted = true; await clip.play(); }")
        page.wait_for_function("clip => clip.currentTime > 0.2", arg=player.element_handle())
        assert player.evaluate("clip => clip.duration") == pytest.approx(SECONDS, abs=0.1)
    assert clips.nth(0).evaluate("clip => clip.paused") and not clips.nth(1).evaluate("clip => clip.paused")
    assert clips.nth(0).get_attribute("aria-label").startswith("Clip ")


def test_a_clip_that_cannot_be_played_says_where_it_is(page: "Page") -> None:
    page.locator("#browser select[name=task]").select_option("sst2")
    page.locator("#browser select[name=kind]").select_option("")
    player = page.locator("#browser audio").first
    player.evaluate("clip => { clip.src = 'data:audio/mpeg;base64,AAAA'; clip.load(); }")
    absent = page.locator("#browser .absent").first
    playwright.expect(absent).to_contain_text("This browser does not play the clip. It is in ")
    page.locator("#browser select[name=task]").select_option("mustard")
    playwright.expect(page.locator("#browser .absent").first).to_contain_text("There is no clip file.")


def test_items_are_chosen_and_shown_as_text(page: "Page", tables_shown: dict[str, Any]) -> None:
    items = tables_shown["items"]

    def shown() -> tuple[int, list[str]]:
        while page.locator("#browser-more").is_visible():
            page.locator("#browser-more").click()
        titles = page.locator("#browser .item h3").all_text_contents()
        return len(titles), titles

    def there(**wanted: object) -> int:
        fits = [
            entry
            for entry in items.entries
            if all(
                getattr(entry, name, getattr(items.clips[entry.clip], name, None)) == value
                for name, value in wanted.items()
            )
        ]
        return len(fits)

    # Shared errors come first.
    first = int(page.locator("select[name=pair]").input_value())
    assert page.locator("select[name=kind]").input_value() == SHARED
    assert shown()[0] == there(pair=first, kind=SHARED) > 0 == sum(there(pair=p, kind=SHARED) for p in range(first))
    page.locator("select[name=kind]").select_option("")
    page.locator("select[name=pair]").select_option("0")
    assert shown()[0] == there(pair=0) > 8
    assert page.locator("#browser-count").text_content() == f"{there(pair=0)} items, {there(pair=0)} shown"
    raw = page.locator("#browser .side div:nth-child(2) dd").first
    assert raw.text_content() == PLANTED and page.locator("#browser script").count() == 0
    kind = "only the reference right"
    page.locator("select[name=pair]").select_option("3")
    page.locator("select[name=kind]").select_option(kind)
    count, titles = shown()
    assert count == there(pair=3, kind=kind) > 0
    assert all(title.endswith(f"only {items.pairs[3].reference} right") for title in titles)
    page.locator("select[name=task]").select_option("ag_news")
    page.locator("select[name=condition]").select_option("snr-5")
    page.locator("select[name=voice]").select_option("us")
    assert shown()[0] == there(pair=3, kind=kind, task="ag_news", condition="snr-5", voice="us")
    page.get_by_role("button", name="Clear").click()
    playwright.expect(page.locator("#browser-count")).to_contain_text(f"{len(items.entries)} items")
    page.get_by_role("searchbox", name="Text").fill("heard PLANTED")
    assert 0 < page.locator("#browser .item").count() < len(items.entries)
    page.get_by_role("searchbox", name="Text").fill("nobody said so")
    assert page.locator("#browser-count").text_content() == "No item is like that."
    assert set(page.locator("select[name=kind] option").all_text_contents()) == {"all", *KINDS}


def test_the_grid_leads_to_its_items(page: "Page", tables_shown: dict[str, Any]) -> None:
    link = page.locator(".grid a.look:visible").nth(1)
    system, reference, task = (link.get_attribute(f"data-{name}") for name in ("system", "reference", "task"))
    link.focus()
    page.keyboard.press("Enter")
    playwright.expect(page.locator("#items-title")).to_be_in_viewport()
    pairs = [(pair.system, pair.reference) for pair in tables_shown["items"].pairs]
    assert page.locator("select[name=pair]").input_value() == str(pairs.index((system, reference)))
    assert page.locator("select[name=task]").input_value() == task
    names = page.locator("#browser .item").first.locator("h4").all_text_contents()
    assert names == [system, reference]


def test_words_left_out_and_put_in_are_marked(page: "Page") -> None:
    rng = np.random.default_rng(0)
    for _ in range(60):
        said, heard = ([str(word) for word in rng.choice(list("abcde"), rng.integers(0, 9))] for _ in range(2))
        marks = page.evaluate("([a, b]) => cascadeWords.compare(a, b)", [" ".join(said), " ".join(heard)])
        assert [word for mark, word in marks if mark != "in"] == said
        assert [word for mark, word in marks if mark != "out"] == heard
        # As few marks as can be: all words but those of a longest common subsequence.
        common = np.zeros((len(said) + 1, len(heard) + 1), dtype=int)
        for i, word in enumerate(said):
            for j, other in enumerate(heard):
                common[i + 1, j + 1] = common[i, j] + 1 if word == other else max(common[i, j + 1], common[i + 1, j])
        assert sum(mark == "same" for mark, _ in marks) == common[-1, -1]
    same = page.evaluate("cascadeWords.compare('The cat, sat.', 'the CAT sat')")
    assert [mark for mark, _ in same] == ["same"] * 3
    assert page.evaluate("cascadeWords.compare('a '.repeat(500), 'a')") is None
    written = page.evaluate(
        "(() => { const dd = document.createElement('dd'); cascadeWords.write(dd, 'one two', 'one <b>two</b> x'); "
        "return dd.innerHTML; })()"
    )
    assert written == "<span>one</span> <del>two</del> <ins>&lt;b&gt;two&lt;/b&gt; x</ins>"


def test_more_items_take_the_focus(page: "Page") -> None:
    page.get_by_role("button", name="Clear").click()
    playwright.expect(page.locator("select[name=pair]")).to_have_value("")
    before = page.locator("#browser .item").count()
    more = page.locator("#browser-more")
    more.focus()
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.tagName") == "LI"
    assert page.evaluate("[...document.activeElement.parentElement.children].indexOf(document.activeElement)") == before


def test_arrow_keys_go_from_item_to_item(page: "Page") -> None:
    page.get_by_role("button", name="Clear").click()
    playwright.expect(page.locator("select[name=pair]")).to_have_value("")
    here = "[...document.querySelectorAll('#browser-cards > li')].indexOf(document.activeElement)"
    page.locator("#browser-cards > li").first.focus()
    for place in range(1, 11):
        page.keyboard.press("ArrowRight")
        assert page.evaluate(here) == place
        assert page.evaluate("document.activeElement.id === location.hash.slice(1)")
    page.keyboard.press("ArrowLeft")
    assert page.evaluate(here) == 9
    playwright.expect(page.locator("#browser-cards > li").nth(9)).to_be_in_viewport()
    for _ in range(12):
        page.keyboard.press("ArrowLeft")
    assert page.evaluate(here) == 0
    # In a box to write in they move the caret.
    box = page.get_by_role("searchbox", name="Text")
    box.fill("heard")
    box.press("ArrowLeft")
    assert box.evaluate("box => box === document.activeElement && box.selectionStart") == 4


def test_an_item_has_an_address_of_its_own(browser: "Browser", address: str, page: "Page") -> None:
    page.get_by_role("button", name="Clear").click()
    playwright.expect(page.locator("select[name=pair]")).to_have_value("")
    page.locator("#browser-more").click()
    link = page.locator("#browser .item h3 a").last
    name, title = link.get_attribute("href"), link.text_content()
    text = page.locator("#browser .item").last.text_content()
    ids = page.locator("[id]").evaluate_all("all => all.map(each => each.id)")
    assert len(ids) == len(set(ids)) and str(name)[1:] in ids
    again = opened(browser, f"{address}{name}")
    there = again.locator("#browser-cards > li:focus")
    playwright.expect(there).to_be_in_viewport()
    assert there.locator("h3").text_content() == title and there.text_content() == text
    assert TROUBLES[again] == []
    again.context.close()
