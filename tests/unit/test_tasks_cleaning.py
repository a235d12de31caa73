"""Cleaning for speech: idempotent, nothing unspeakable left, nothing spoken lost."""

import unicodedata
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cascade_equivalence.tasks.ag_news import clean_news
from cascade_equivalence.tasks.cleaning import as_sentence, clean_text
from cascade_equivalence.tasks.meld import clean_utterance
from cascade_equivalence.tasks.mustard import clean_line
from cascade_equivalence.tasks.sst2 import clean_review
from cascade_equivalence.tasks.trivia_qa import clean_question

CLEANERS = [clean_text, clean_news, clean_review, clean_question, clean_utterance, clean_line]
# What the sets are full of, one kind a line; the last are single signs.
MARKUP = (
    "&amp;",
    "&amp;amp;lt;",
    " #39;s",
    " quot;",
    "&lt;b&gt;",
    '<A HREF="http://x?ticker=A.N">',
    "</A>",
    "http://a.b",
)
SOURCES = ("Reuters", "(AP)", "AP - ", "UPDATE 1-", "By Joe Doe   ", "   ", "<p>ADVERTISEMENT</p>")
NUMBERS = ("US$", "$A", "3.5", "million", " bn", "k", "25", "5", ".50", "No. ", "Nov. ", " 1", "-2")
TOKENS = ("''", "``", "'s", " n't", "-lrb-", "( t ) he", " - ", "--", "...", " /", "/ ", '""', "i", "Word")
ENCODINGS = ("\x92", "\u00e2\u20ac\u2122", "it\u00d5s", "\u200b", "\u2028", "e\u0301")
SIGNS = tuple('$%#@=&_*()[]:;,.!?`\\"\u20ac\u00a3\u2014\u2026')
FRAGMENTS = (*MARKUP, *SOURCES, *NUMBERS, *TOKENS, *ENCODINGS, *SIGNS)
TEXTS = st.lists(st.sampled_from(FRAGMENTS) | st.text(max_size=3), max_size=12).map("".join) | st.text()


@pytest.mark.parametrize("clean", CLEANERS)
@settings(max_examples=300, deadline=None)
@given(text=TEXTS)
def test_any_text_becomes_one_clean_line(clean: Callable[[str], str], text: str) -> None:
    cleaned = clean(text)
    assert clean(cleaned) == cleaned
    assert not {unicodedata.category(character) for character in cleaned} & {"Cc", "Cf", "Cs", "Zl", "Zp", "So"}
    assert not set(cleaned) & set("<>[]{}|\\_`$%#@")
    assert cleaned == " ".join(cleaned.split())
    # Unicode calls one apostrophe a letter; it is read as the others.
    if any(character.isalnum() for character in text.replace("\u02bc", "'")):
        assert any(character.isalnum() for character in cleaned)


@pytest.mark.parametrize("clean", CLEANERS)
@given(words=st.lists(st.from_regex(r"[A-Za-z]{2,9}|[0-9]{1,4}", fullmatch=True), min_size=1))
def test_plain_words_are_left_alone(clean: Callable[[str], str], words: list[str]) -> None:
    text = " ".join(words)
    # A review gets its first capital back, and "5 bn" a word.
    if not {word.lower() for word in words} & {"bn", "mln", "bln"}:
        assert clean(text).lower() == text.lower()


@pytest.mark.parametrize(
    ("text", "spoken"),
    [
        ("a \\$3.5 million, one-year deal", "a 3.5 million dollars, one-year deal"),
        ("US #36;720.4bn", "720.4 billion US dollars"),
        ("$10-15 million", "10 to 15 million dollars"),
        ("$1 and $4.50 and $0.01", "1 dollar and 4 dollars and 50 cents and 1 cent"),
        ("up 25% or 3.1 %.", "up 25 percent or 3.1 percent."),
        ("AT amp;T and Standard  amp; Poor #39;s", "AT&T and Standard and Poor's"),
        ("Procter   Gamble Co.", "Procter and Gamble Co."),
        ("the  quot;old fashioned quot; views", 'the "old fashioned" views'),
        ("rocketeers of a second\\team", "rocketeers of a second team"),
        ("A fall in sales (Reuters)", "A fall in sales"),
        ("AP - A company won.", "A company won."),
        ("NEW YORK (Reuters) - Oil fell -- again.", "NEW YORK, Oil fell, again."),
        ('Kmart &lt;A HREF="http://x/FullQuote.aspx?ticker=K.O"&gt;K.O&lt;/A&gt; rose', "Kmart rose"),
        ("Microsoft Corp.'s &lt;MSFT.O&gt; Windows", "Microsoft Corp.'s Windows"),
        ("leads in presidential &lt;b&gt;...&lt;/b&gt;", "leads in presidential..."),
        ("won 34-17 on Nov. 3, 1-2-3, the No. 1 team", "won 34 to 17 on November 3, 1-2-3, the number 1 team"),
    ],
)
def test_news_debris_and_signs(text: str, spoken: str) -> None:
    assert clean_news(text) == spoken


@pytest.mark.parametrize(
    ("text", "spoken"),
    [
        ("it 's slow -- very , very slow . ", "It's slow, very, very slow."),
        ("you ca n't -lrb- really -rrb- say it does n't , i 'd guess", "You can't (really) say it doesn't, I'd guess"),
        ("`` mostly martha '' is ` bright , ' light", "\"Mostly martha\" is 'bright,' light"),
        ("( t ) his belgian fable put ( s ) us off", "This belgian fable puts us off"),
        ("those programs ' charm , of the '60s", "Those programs' charm, of the '60s"),
        ("... a funny/gritty tale / and more", "A funny gritty tale, and more"),
    ],
)
def test_reviews_are_untokenised(text: str, spoken: str) -> None:
    assert clean_review(text) == spoken


@pytest.mark.parametrize(
    ("clean", "text", "spoken"),
    [
        (clean_utterance, "Oh\u2026no\u2014it\u2019s \u2018me\u2019!!  [Joey leaves] Go.", "Oh... no, it's 'me'! Go."),
        (clean_utterance, "It\x92s fine. (Goes over and fluffs the pillow.", "It's fine."),
        (clean_line, "where it\u00d5s <i>hot</i>, I don\u0101\u20ac\u2122t go||", "where it's hot, I don't go"),
        (clean_question, '"Who wrote ""Leaves of Grass""?"', 'Who wrote "Leaves of Grass"?'),
        (clean_question, '"""Serpula"" is which decay ?"', '"Serpula" is which decay?'),
        (clean_text, "The war (1864 - 1870)", "The war (1864 to 1870)"),
    ],
)
def test_other_sets(clean: Callable[[str], str], text: str, spoken: str) -> None:
    assert clean(text) == spoken


@given(st.text())
def test_sentence_ends_once(text: str) -> None:
    assert as_sentence(as_sentence(text)) == as_sentence(text)
    assert as_sentence(text).startswith(text)
