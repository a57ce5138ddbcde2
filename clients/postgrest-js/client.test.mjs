// postgrest-js used alone: without sign-in, without a default key, with the URL of the data API itself. The client's
// features are tested through supabase-js, which contains the same client.
import { after, before, describe, test } from 'node:test'
import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { cp } from 'node:fs/promises'
import { join } from 'node:path'
import { PostgrestClient } from '@supabase/postgrest-js'
import { startServer } from '../supabase-js/server.mjs'
import { assertRefused, rows } from '../supabase-js/answer.mjs'

const SETTINGS = `[server]
rest_alias = "/api"

[rest]
schemas = ["public", "archive"]
`

let server
before(async () => {
  const fill = (dir) => cp(join(import.meta.dirname, 'migrations'), join(dir, 'migrations'), { recursive: true })
  server = await startServer(SETTINGS, { fill })
})
after(() => server?.stop())

const connect = (headers = {}, options = {}) => new PostgrestClient(`${server.url}/rest/v1`, { headers, ...options })
const bearer = (token) => ({ Authorization: `Bearer ${token}` })

/** The access token and the tenant of a new user. */
async function signUp() {
  const body = JSON.stringify({ email: `person-${randomUUID()}@example.com`, password: randomUUID() })
  const headers = { apikey: server.anonKey, 'Content-Type': 'application/json' }
  const answer = await fetch(`${server.url}/auth/v1/signup`, { method: 'POST', headers, body })
  const { access_token: token } = await answer.json()
  return { token, tenant: JSON.parse(Buffer.from(token.split('.')[1], 'base64url')).tenant_id }
}

describe('without a key', () => {
  test('a caller without a key is anon, and reads what anon may', async () => {
    assert.deepEqual(await rows(connect().from('notices').select('body').order('id')), [{ body: 'open' }, { body: 'closed' }])
    assert.equal((await rows(connect().rpc('whoami'))).role, 'anon')
  })

  test('what anon may not read is a 401 with WWW-Authenticate', async () => {
    const asked = []
    const watched = async (...request) => {
      const answer = await fetch(...request)
      asked.push(answer.headers.get('www-authenticate'))
      return answer
    }
    await assertRefused(connect({}, { fetch: watched }).from('letters').select(), 401, '42501')
    assert.deepEqual(asked, ['Bearer'])
  })
})

describe('keys', () => {
  test('are understood as apikey, as a bearer token, and as both', async () => {
    for (const [key, role] of [[server.anonKey, 'anon'], [server.serviceRoleKey, 'service_role']]) {
      for (const headers of [{ apikey: key }, bearer(key), { apikey: key, ...bearer(key) }]) {
        assert.equal((await rows(connect(headers).rpc('whoami'))).role, role, Object.keys(headers).join())
      }
    }
  })

  test('are overridden by the token of a user', async () => {
    const { token, tenant } = await signUp()
    for (const apikey of [server.anonKey, server.serviceRoleKey]) {
      const { role, claims } = await rows(connect({ apikey, ...bearer(token) }).rpc('whoami'))
      assert.deepEqual([role, claims.tenant_id], ['authenticated', tenant])
    }
  })

  test('of the service see all tenants, and those of users their own', async () => {
    const [ann, bob] = [await signUp(), await signUp()]
    for (const { token } of [ann, bob]) await rows(connect(bearer(token)).from('letters').insert({ body: 'hello' }))
    assert.deepEqual(await rows(connect(bearer(ann.token)).from('letters').select('tenant_id')), [{ tenant_id: ann.tenant }])
    const all = await rows(connect(bearer(server.serviceRoleKey)).from('letters').select('tenant_id').in('tenant_id', [ann.tenant, bob.tenant]))
    assert.equal(all.length, 2)
  })

  test('that do not verify are refused in either header', async () => {
    const [head, claims] = server.serviceRoleKey.split('.')
    const forged = `${head}.${claims}.${'A'.repeat(86)}`
    for (const token of ['nonsense', forged]) {
      await assertRefused(connect(bearer(token)).from('notices').select(), 401, 'PGRST301')
      await assertRefused(connect({ apikey: token }).from('notices').select(), 401, 'PGRST301')
    }
  })
})

describe('the client', () => {
  test('reaches the same rows under the alias', async () => {
    const client = new PostgrestClient(`${server.url}/api`)
    assert.equal((await rows(client.from('notices').select())).length, 2)
  })

  test('sends headers of its own, which the database can read', async () => {
    assert.equal((await rows(connect({ 'X-Agent': 'all' }).rpc('whoami'))).agent, 'all')
    assert.equal((await rows(connect({ 'X-Agent': 'all' }).rpc('whoami').setHeader('X-Agent', 'one'))).agent, 'one')
  })

  test('may be created for another schema, and choose a different one per request', async () => {
    const archive = connect({}, { schema: 'archive' })
    assert.deepEqual(await rows(archive.from('notices').select('body')), [{ body: 'old' }])
    assert.equal((await rows(archive.schema('public').from('notices').select())).length, 2)
    await assertRefused(connect({}, { schema: 'tenancy' }).from('tenants').select(), 406, 'PGRST106')
  })

  test('gets status and headers for HEAD without a body', async () => {
    const answer = await connect().from('notices').select('*', { head: true, count: 'exact' })
    assert.deepEqual([answer.status, answer.count, answer.data, answer.error], [200, 2, null, null])
  })

  test('gets code and message of an error, thrown on request', async () => {
    const asked = connect().from('notices').select('none').throwOnError()
    await assert.rejects(async () => asked, { name: 'PostgrestError', code: '42703', message: 'column notices.none does not exist', details: null })
    await assertRefused(connect().from('notice').select(), 404, 'PGRST205')
  })

  test('may use a URL of many thousand characters', async () => {
    const ids = Array.from({ length: 3000 }, (_, at) => at + 1)
    assert.equal((await rows(connect({}, { urlLengthLimit: 100_000 }).from('notices').select().in('id', ids))).length, 2)
  })
})
