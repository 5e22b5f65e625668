-- Revision 0006: passkeys, step-up, and administrators without a password.

-- Who was invited has no password until the invitation is used, and who has passkeys needs none.
ALTER TABLE administrators ALTER password_hash DROP NOT NULL;

-- What the last proof was given with, at step_up_at: password, passkey or both, with a plus between them.
ALTER TABLE sessions
    ADD factors text NOT NULL DEFAULT 'password' CHECK (factors IN ('password', 'passkey', 'password+passkey')),
    ADD address text NOT NULL DEFAULT '';
CREATE INDEX sessions_administrator ON sessions (tenant_id, administrator_id);

-- user_handle stands for the person towards authenticators: random, and nothing else.
CREATE TABLE passkeys (
    tenant_id uuid NOT NULL DEFAULT gatepost_tenant(),
    passkey_id uuid NOT NULL DEFAULT gen_random_uuid(),
    administrator_id uuid NOT NULL,
    credential_id bytea NOT NULL CHECK (length(credential_id) BETWEEN 1 AND 1023),
    public_key bytea NOT NULL,
    sign_count bigint NOT NULL,
    transports text[] NOT NULL DEFAULT '{}',
    name text NOT NULL CHECK (length(name) BETWEEN 1 AND 100),
    made_at timestamptz NOT NULL DEFAULT now(),
    last_used_at timestamptz,
    PRIMARY KEY (tenant_id, passkey_id),
    UNIQUE (tenant_id, credential_id),
    FOREIGN KEY (tenant_id, administrator_id) REFERENCES administrators ON DELETE CASCADE
);
CREATE INDEX passkeys_administrator ON passkeys (tenant_id, administrator_id);
ALTER TABLE administrators ADD user_handle uuid NOT NULL DEFAULT gen_random_uuid();

-- A challenge is answered once, within minutes. For second it also stands for a password that was right just before.
CREATE TABLE passkey_challenges (
    tenant_id uuid NOT NULL DEFAULT gatepost_tenant(),
    challenge bytea NOT NULL,
    purpose text NOT NULL CHECK (purpose IN ('register', 'sign-in', 'second', 'step-up')),
    administrator_id uuid,
    address text NOT NULL DEFAULT '',
    made_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, challenge),
    FOREIGN KEY (tenant_id, administrator_id) REFERENCES administrators ON DELETE CASCADE,
    CHECK (purpose = 'sign-in' OR administrator_id IS NOT NULL)
);
CREATE INDEX passkey_challenges_age ON passkey_challenges (tenant_id, made_at);

-- An invitation lets a person set a password, once; only the SHA-256 of its code is kept.
CREATE TABLE invitations (
    tenant_id uuid NOT NULL DEFAULT gatepost_tenant(),
    code_hash bytea NOT NULL,
    administrator_id uuid NOT NULL,
    made_by text NOT NULL,
    made_at timestamptz NOT NULL DEFAULT now(),
    expires_at timestamptz NOT NULL,
    used_at timestamptz,
    PRIMARY KEY (tenant_id, code_hash),
    FOREIGN KEY (tenant_id, administrator_id) REFERENCES administrators ON DELETE CASCADE
);
CREATE INDEX invitations_administrator ON invitations (tenant_id, administrator_id);

-- What a tenant asks of its administrators; without a row, nothing.
CREATE TABLE sign_in_rules (
    tenant_id uuid NOT NULL DEFAULT gatepost_tenant() REFERENCES tenants,
    passkeys_required boolean NOT NULL DEFAULT false,
    PRIMARY KEY (tenant_id)
);

DO $$
DECLARE
    entry text;
BEGIN
    FOREACH entry IN ARRAY ARRAY['passkeys', 'passkey_challenges', 'invitations', 'sign_in_rules'] LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY', entry);
        EXECUTE format('CREATE POLICY tenant ON %I USING (tenant_id = (SELECT gatepost_tenant())) '
                       'WITH CHECK (tenant_id = (SELECT gatepost_tenant()))', entry);
    END LOOP;
END
$$;
GRANT SELECT, INSERT, UPDATE, DELETE ON passkeys, invitations TO gatepost_app;
GRANT SELECT, INSERT, DELETE ON passkey_challenges TO gatepost_app;
GRANT SELECT, INSERT, UPDATE ON sign_in_rules TO gatepost_app;
GRANT SELECT, INSERT, UPDATE, DELETE ON passkeys, passkey_challenges, invitations, sign_in_rules TO gatepost_operator;
