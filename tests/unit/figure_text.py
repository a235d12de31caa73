"""What is written in a figure, for the tests of figures."""

from itertools import combinations
from typing import Any


def written_in(figure: Any) -> list[tuple[str, Any]]:
    """Boxes of everything that is written in a figure, in pixels."""
    from matplotlib.axes import Axes
    from matplotlib.text import Text

    figure.canvas.draw()
    renderer = figure.canvas.get_renderer()
    # Ticks beyond the ends of an axis keep their labels, which are not drawn.
    beyond = set()
    for axis in [axis for axes in figure.findobj(Axes) for axis in (axes.xaxis, axes.yaxis)]:
        low, high = sorted(axis.get_view_interval())
        ticks = [*axis.get_major_ticks(), *axis.get_minor_ticks()]
        beyond |= {label for tick in ticks if not low <= tick.get_loc() <= high for label in (tick.label1, tick.label2)}
    texts = [text for text in figure.findobj(Text) if text not in beyond]
    found = [text for text in texts if text.get_visible() and text.get_text().strip()]
    return [(text.get_text(), text.get_window_extent(renderer)) for text in found]


def assert_nothing_overlaps(figure: Any) -> None:
    """Check that no two texts of a figure touch, and that all stand within it."""
    written = written_in(figure)
    for (text, box), (other, second) in combinations(written, 2):
        assert not box.overlaps(second), (text, other)
    page = figure.bbox
    for text, box in written:
        assert page.x0 <= box.x0 and box.x1 <= page.x1 and page.y0 <= box.y0 and box.y1 <= page.y1, text
