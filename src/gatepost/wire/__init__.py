"""Bytes in, values out: the documents and messages of remote PowerShell, with no socket, clock or thread."""
