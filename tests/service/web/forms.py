"""A form of a page as a browser sends it, without a browser."""

from html.parser import HTMLParser


class _Fields(HTMLParser):
    """Collects what the fields of a page would send, names with their values in order."""

    def __init__(self) -> None:
        super().__init__()
        self.found: dict[str, list[str]] = {}
        self._select = ""
        self._textarea: str | None = None
        self._text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attrs}
        name = values.get("name", "")
        if tag == "input" and (values.get("type") not in {"checkbox", "radio"} or "checked" in values):
            self._add(name, values.get("value", "on"))
        elif tag == "select":
            self._select = name
        elif tag == "option" and self._select and "selected" in values:
            self._add(self._select, values["value"])
        elif tag == "textarea":
            self._textarea, self._text = name, ""

    def handle_endtag(self, tag: str) -> None:
        if tag == "select":
            self._select = ""
        elif tag == "textarea" and self._textarea is not None:
            self._add(self._textarea, self._text.removeprefix("\n").replace("\n", "\r\n"))
            self._textarea = None

    def handle_data(self, data: str) -> None:
        if self._textarea is not None:
            self._text += data

    def _add(self, name: str, value: str) -> None:
        self.found.setdefault(name, []).append(value)


def fields_of(html: str) -> dict[str, list[str]]:
    """What the fields of a page would send, whichever form they are in; buttons are not pressed."""
    parser = _Fields()
    parser.feed(html)
    return parser.found
