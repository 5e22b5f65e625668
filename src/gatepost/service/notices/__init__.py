"""Mail to people about their devices: made where a decision stands, claimed before it is sent, told of afterwards.

``making`` turns announcements of decisions into mails that wait, ``claiming`` gives them to a connector, ``telling``
keeps what became of them; ``choices`` are a tenant's settings and words, ``wording`` makes the mail, ``outbox`` shows
and tests.
"""
