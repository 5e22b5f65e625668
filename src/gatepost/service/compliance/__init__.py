"""Compliance: what sources report of managed devices, how far they are believed, and what it comes to for a device.

``records`` takes reports, ``doubts`` says which are not believed, ``sources`` keeps the sources and their freshness,
``standing`` links records to devices and people. What is stale, empty, ambiguous or too good takes no access away and
gives none.
"""
