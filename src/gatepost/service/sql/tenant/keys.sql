-- name: find
-- The tenant's keys, as sealed.
SELECT public, certificate, sealed_by, signing_sealed, authority_sealed, data_sealed FROM tenant_keys

-- name: make
-- The tenant's keys, unless another transaction has made them.
-- example: {"public": "x", "certificate": "x", "sealed_by": "x", "signing_sealed": "x", "authority_sealed": "x", "data_sealed": "x"}
INSERT INTO tenant_keys (public, certificate, sealed_by, signing_sealed, authority_sealed, data_sealed)
VALUES (%(public)s, %(certificate)s, %(sealed_by)s, %(signing_sealed)s, %(authority_sealed)s, %(data_sealed)s)
ON CONFLICT DO NOTHING
