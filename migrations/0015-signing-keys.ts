/** The keys that sign what others verify; the private half is encrypted before it comes here. */
import type { Knex } from 'knex';

export async function up(knex: Knex): Promise<void> {
  await knex.raw(`
    CREATE TABLE signing_keys (
      kid text PRIMARY KEY CHECK (kid ~ '^[A-Za-z0-9_-]{43}$'),
      public_jwk jsonb NOT NULL CHECK (jsonb_typeof(public_jwk) = 'object' AND (public_jwk -> 'd') IS NULL),
      private_jwk bytea NOT NULL,
      secret_id text NOT NULL,
      created_at timestamptz NOT NULL DEFAULT now(),
      signs_from timestamptz NOT NULL,
      signs_until timestamptz NOT NULL CHECK (signs_until > signs_from),
      published_until timestamptz NOT NULL CHECK (published_until >= signs_until)
    );
    COMMENT ON COLUMN signing_keys.kid IS 'the thumbprint of the public key (RFC 7638)';
    COMMENT ON COLUMN signing_keys.private_jwk IS 'AES-256-GCM: nonce, ciphertext, tag; kid is authenticated with it';
    COMMENT ON COLUMN signing_keys.secret_id IS 'which secret it is encrypted with; does not tell the secret';
  `);
}

export async function down(knex: Knex): Promise<void> {
  await knex.raw('DROP TABLE signing_keys');
}
