"""CLIXML, the text in which PowerShell sends objects, as plain values: no type is ever instantiated by its name.

``decode`` reads any one payload. ``Rows`` reads a listing, where every object has nearly the same shape, many times
faster and to the same values. What the decoder makes of a payload:

- An object is a dict of its properties; extended ones (MS) win over adapted ones (Props), later ones over earlier ones.
- An object inside another is its text (ToString) where it gives one, so that both wire forms yield the same value; and
  an enumeration is its name wherever it stands. A collection is a list or a dict. Serialized .NET data is left out.
- Times are aware and in UTC; digits below the microsecond are cut off, and an offset that would lead out of the years
  1 to 9999 ends at that limit, so that no object is lost for one odd time. A time without an offset is taken as UTC.
- A Guid is lower-case text. Spans, versions, addresses, script blocks and XML documents are text; a secure string,
  which nobody here can read, is None.
"""

from gatepost.wire.clixml.reader import decode, type_names
from gatepost.wire.clixml.rows import Row, Rows
from gatepost.wire.clixml.values import Value

__all__ = ["Row", "Rows", "Value", "decode", "type_names"]
