"""Messages cut into fragments, and put together again by psrpcore."""

from base64 import b64decode
from collections.abc import Iterator
from itertools import chain, count

from hypothesis import given
from hypothesis import strategies as st

from gatepost.lab.fragments import FRAGMENT, Layout, Outbox

ENDS = (b"<s>", b"</s>")


def outbox(rows: list[bytes], first: list[bytes] | None = None, last: bytes | None = None) -> Outbox:
    """An outbox with whole messages before, a running listing, and a message that follows its end."""
    numbers = count(1)
    box = Outbox(lambda: next(numbers))
    for message in first or []:
        box.add(next(numbers), message)

    def ended() -> None:
        if last is not None:
            box.add(next(numbers), last)

    box.run(iter(rows), ended)
    return box


def drain(box: Outbox, budget: int, layout: Layout) -> Iterator[list[bytes]]:
    """The stream elements of each answer, decoded."""
    while not box.empty:
        parts = box.fill(budget, layout, ENDS)
        assert [parts[at] for at in range(0, len(parts), 3)] == [ENDS[0]] * (len(parts) // 3)
        yield [b64decode(parts[at]) for at in range(1, len(parts), 3)]


def split(element: bytes) -> Iterator[tuple[int, int, int, bytes]]:
    """The fragments in one element: object, number, flags, data."""
    at = 0
    while at < len(element):
        number, fragment, flags, size = FRAGMENT.unpack_from(element, at)
        at += FRAGMENT.size + size
        assert at <= len(element)
        yield number, fragment, flags, element[at - size : at]


def assemble(elements: list[bytes]) -> list[bytes]:
    """Messages in the order in which they end, as any client puts them together."""
    waiting: dict[int, bytes] = {}
    found = []
    for number, fragment, flags, data in chain.from_iterable(map(split, elements)):
        assert bool(flags & 1) == (fragment == 0)
        waiting[number] = waiting.get(number, b"") + data
        if flags & 2:
            found.append(waiting.pop(number))
    assert not waiting
    return found


@given(
    st.lists(st.binary(min_size=1, max_size=3_000), max_size=12),
    st.integers(2_000, 20_000),
    st.sampled_from([Layout(), Layout(100), Layout(1_024, 3), Layout(32_768, 5)]),
)
def test_what_goes_in_comes_out_in_order(rows: list[bytes], budget: int, layout: Layout) -> None:
    """Whatever the sizes of fragments and answers, and however many share an element."""
    answers = list(drain(outbox(rows, [b"before"], b"after"), budget, layout))
    assert assemble([element for answer in answers for element in answer]) == [b"before", *rows, b"after"]


def test_an_answer_stays_within_its_budget() -> None:
    """Unless a single smallest fragment is already larger."""
    box = outbox([b"x" * 5_000] * 40)
    while not box.empty:
        parts = box.fill(20_000, Layout(), ENDS)
        assert sum(map(len, parts)) <= 20_000


def test_fragments_have_the_layout_asked_for() -> None:
    """No fragment is larger than the layout says, and so many share an element."""
    (answer,) = drain(outbox([b"x" * 1_000]), 100_000, Layout(100, 3))
    fragments = [list(split(element)) for element in answer]
    assert max(map(len, fragments)) == 3
    assert max(len(data) + FRAGMENT.size for element in fragments for *_, data in element) == 100


def test_rows_are_taken_only_as_they_fit() -> None:
    """A listing is rendered as the client receives it, not before."""
    taken = []

    def rows() -> Iterator[bytes]:
        for number in range(1_000):
            taken.append(number)
            yield b"x" * 1_000

    numbers = count()
    box = Outbox(lambda: next(numbers))
    box.run(rows(), lambda: None)
    box.fill(10_000, Layout(), ENDS)
    assert len(taken) < 12
