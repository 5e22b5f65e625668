"""The multi-tenant service on PostgreSQL: ingest, devices, administrators, API and console."""
