"""Alerts: what needs a person is told by mail, webhook or syslog when it begins, daily while it lasts, and at its end.

``conditions`` reads from the database what is wrong, ``register`` keeps since when and decides what is told, ``outbox``
sends it by a road (``mail``, ``webhook``, ``syslog``) to each of the tenant's ``targets``. ``job`` runs it each minute.
"""
