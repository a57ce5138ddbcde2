// Turns the fixtures of an upstream suite into a project's migrations and seed. They are read from the checkout at
// every run; only what a project cannot use unchanged is changed.
import { execFileSync } from 'node:child_process'
import { createPublicKey } from 'node:crypto'
import { readFile, writeFile } from 'node:fs/promises'
import { basename, join } from 'node:path'

/** What is changed in fixtures: each pattern must be there, else upstream has moved and somebody has to look. */
const POSTGREST_CHANGES = [
  // Settings of the data API are in rowhouse.toml; a project does not own the login.
  [/^alter role authenticator set pgrst\.\w+ to '[^']*';$/gim, ''],
  // A project may not install PostGIS, which only a superuser can: its one column holds text.
  [/^create extension if not exists postgis .*;$/gim, ''],
  [/extensions\.geometry\(POINT, 4326\)/gi, 'text'],
]

/** The suites by the name of their package: what they need and which of their files are about the data API. */
export const SUITES = {
  '@supabase/postgrest-js': {
    migrations: ['test/supabase/migrations/00000000000000_schema.sql'],
    seed: 'test/supabase/seed.sql',
    changes: POSTGREST_CHANGES,
    // As upstream runs it: the folder v12 is for a PostgREST of that age.
    jest: ['--testPathIgnorePatterns=test/v12/'],
    settings: `[rest]
schemas = ["public", "personal"]
extra_search_path = ["public", "extensions"]
max_rows = 1000
default_grants = "supabase"
aggregates = true
plan_enabled = true
tx_end = "commit-allow-override"
`,
  },
  '@supabase/supabase-js': {
    migrations: [
      'supabase/migrations/20250422000000_create_todos_table.sql',
      'supabase/migrations/20260731000000_trace_headers_echo_fn.sql',
    ],
    seed: 'supabase/seed/seed_todos.sql',
    changes: [],
    // The unit tests never leave the client.
    jest: ['test/integration.test.ts', '--forceExit'],
    settings: `[rest]
default_grants = "supabase"

[auth]
# The key in the suite is signed with it.
jwt_secret = "super-secret-jwt-token-with-at-least-32-characters-long"
mailer_autoconfirm = true
signin_rate_per_5min = 300
`,
  },
  '@supabase/auth-js': {
    migrations: [],
    changes: [],
    // As upstream runs it: the other folder is for four GoTrues in containers.
    jest: ['--config=jest.config.cli.js', '--coverage=false', '--forceExit'],
    keys: authKeys,
    // Continues the section with the keys.
    settings: `jwt_grants_service_role = true
mailer_autoconfirm = true
site_url = "http://127.0.0.1:3000"
redirect_urls = ["https://127.0.0.1:3000", "http://localhost:5173"]
signin_rate_per_5min = 10000
token_rate_per_5min = 10000
mfa_rate_per_5min = 10000
anonymous_users = true
mfa_webauthn_enabled = true
passkeys_enabled = true
webauthn_rp_id = "localhost"
webauthn_rp_origins = ["http://localhost:5173"]

# As in the suite's own configuration, from which the two texts are. Nobody signs in there.
[auth.external.google]
client_id = ["53566906701-bmhc1ndue7hild39575gkpimhs06b7ds.apps.googleusercontent.com"]
secret = "env(SUPABASE_AUTH_EXTERNAL_GOOGLE_SECRET)"
skip_nonce_check = true

[auth_oauth]
enabled = true
allow_dynamic_registration = true
authorization_path = "/oauth/consent"
[auth_sms]
enabled = true
# Nobody listens there: the suite expects that no message can be sent.
provider = "webhook"
webhook_url = "http://127.0.0.1:9/"
webhook_secret = "the secret of a webhook that nobody serves"
`,
  },
}

/** The keys that the suite of auth-js signs its own tokens with, as a setting; its script makes the one for RS256. */
async function authKeys(folder) {
  execFileSync(process.execPath, [join(folder, 'test/generate-signing-keys.js')], { stdio: 'ignore' })
  const [key] = JSON.parse(await readFile(join(folder, 'test/supabase/signing_keys.json'), 'utf8'))
  const jwk = { ...createPublicKey({ key, format: 'jwk' }).export({ format: 'jwk' }), kid: key.kid, alg: 'RS256' }
  return `[auth]\njwt_secret = '${JSON.stringify({ keys: [jwk] })}'\n`
}

/** The suite's settings. */
export async function settingsOf(suite, folder) {
  return (suite.keys ? await suite.keys(folder) : '') + suite.settings
}

/** Writes the suite's fixtures into the project in `dir`. */
export async function fill(suite, folder, dir) {
  const unseen = new Set(suite.changes.map(([pattern]) => pattern))
  const change = (text) =>
    suite.changes.reduce((changed, [pattern, instead]) => {
      if (changed.search(pattern) >= 0) unseen.delete(pattern)
      return changed.replace(pattern, instead)
    }, text)
  for (const path of suite.migrations) {
    await writeFile(join(dir, 'migrations', basename(path)), change(await readFile(join(folder, path), 'utf8')))
  }
  if (suite.seed) await writeFile(join(dir, 'seed.sql'), change(await readFile(join(folder, suite.seed), 'utf8')))
  if (unseen.size > 0) throw new Error(`the fixtures no longer contain ${[...unseen].join(', ')}`)
}
