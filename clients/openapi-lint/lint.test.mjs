// Runs the linters on both descriptions of a schema with unusual names, enumerated types, domains and defaults. The
// content of a description is tested with the data API; here tools only have to accept it.
import { after, before, test } from 'node:test'
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { cp, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { startServer } from '../supabase-js/server.mjs'

const here = import.meta.dirname
const bin = (name) => join(here, 'node_modules', '.bin', name)
const VERSIONS = { '2.0': '/rest/v1/', '3.1': '/rest/v1/openapi.json' }
const LINT_LIMIT_MS = 120_000

let server
before(async () => {
  const fill = (dir) => cp(join(here, 'migrations'), join(dir, 'migrations'), { recursive: true })
  server = await startServer('', { fill })
})
after(() => server?.stop())

/** The description's file, inside the server's own folder. */
async function described(version) {
  const headers = { apikey: server.serviceRoleKey, authorization: `Bearer ${server.serviceRoleKey}` }
  const answer = await fetch(`${server.url}${VERSIONS[version]}`, { headers })
  const document = await answer.json()
  assert.equal(document.swagger ?? document.openapi, version === '2.0' ? '2.0' : '3.1.0')
  assert.ok(document.paths['/customers'], 'the tables are described')
  const file = join(server.dir, `openapi-${version}.json`)
  await writeFile(file, JSON.stringify(document, null, 1))
  return file
}

/** Fails with what the linter has found. */
async function lint(program, args) {
  // Redocly and Stoplight send telemetry unless it is turned off.
  const env = { ...process.env, REDOCLY_TELEMETRY: 'off', REDOCLY_SUPPRESS_UPDATE_NOTICE: 'true', SCARF_ANALYTICS: 'false', NO_COLOR: '1' }
  const run = promisify(execFile)(bin(program), args, { cwd: here, env, timeout: LINT_LIMIT_MS, maxBuffer: 1 << 24 })
  const found = await run.then(() => '', (error) => `${error.stdout}\n${error.stderr}`.slice(0, 6_000) || error.message)
  assert.equal(found, '')
}

for (const version of Object.keys(VERSIONS)) {
  test(`redocly accepts the description in OpenAPI ${version}`, async () => {
    await lint('redocly', ['lint', '--config', `redocly-${version}.yaml`, '--max-problems', '40', await described(version)])
  })
  test(`spectral accepts the description in OpenAPI ${version}`, async () => {
    await lint('spectral', ['lint', '--ruleset', `spectral-${version}.yaml`, '--fail-severity', 'warn', await described(version)])
  })
}
