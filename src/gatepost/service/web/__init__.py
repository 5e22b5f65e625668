"""The service over HTTP: routes that ask service modules; no SQL here."""
