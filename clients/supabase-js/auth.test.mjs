// Identity through auth-js: what a front end calls, and the error shapes it branches on.
import { after, before, describe, test } from 'node:test'
import assert from 'node:assert/strict'
import { startServer } from './server.mjs'
import { claimsOf, connect, newEmail, signIn, signUp } from './person.mjs'

let server
// Without a reuse interval, so that reuse of a refresh token is detected at once; auth-js itself never sends one
// twice here.
before(async () => (server = await startServer('[auth]\nrefresh_reuse_interval = "0s"\n')))
after(() => server?.stop())

/** The error must be the server's answer (AuthApiError and its kin) with this status and code. */
function assertAuthError(error, status, code) {
  assert.ok(error, `expected ${code}`)
  assert.deepEqual({ status: error.status, code: error.code }, { status, code }, error.message)
}

/** Whether the session behind an access token still stands. */
async function stands(token) {
  const { data, error } = await connect(server).auth.getUser(token)
  return error === null && data.user !== null
}

describe('sign-up', () => {
  test('gives a confirmed user and a session at once', async () => {
    const email = newEmail()
    const { data, error } = await connect(server).auth.signUp({ email, password: 'correct horse', options: { data: { full_name: 'Ann' } } })
    assert.equal(error, null)
    assert.equal(data.user.email, email)
    assert.equal(data.user.aud, 'authenticated')
    assert.equal(data.user.role, 'authenticated')
    assert.equal(data.user.user_metadata.full_name, 'Ann')
    assert.equal(data.user.app_metadata.provider, 'email')
    assert.ok(data.user.email_confirmed_at)
    assert.equal(data.user.identities.length, 1)
    assert.equal(data.session.token_type, 'bearer')
    assert.equal(data.session.expires_in, 3600)
    assert.ok(data.session.refresh_token.length >= 12)
  })

  test('puts the user into an organization and a tenant of their own', async () => {
    const [ann, bob] = [await signUp(server), await signUp(server)]
    for (const { claims, user } of [ann, bob]) {
      assert.equal(claims.sub, user.id)
      assert.equal(claims.role, 'authenticated')
      assert.equal(claims.tenant_role, 'owner')
      assert.ok(claims.session_id && claims.org_id && claims.tenant_id)
    }
    assert.notEqual(ann.claims.tenant_id, bob.claims.tenant_id)
    assert.notEqual(ann.claims.org_id, bob.claims.org_id)
  })

  test('refuses a taken address, whatever its case', async () => {
    const ann = await signUp(server)
    const { data, error } = await connect(server).auth.signUp({ email: ann.email.toUpperCase(), password: 'correct horse' })
    assertAuthError(error, 422, 'user_already_exists')
    assert.equal(data.user, null)
  })

  test('refuses a short password with its reasons', async () => {
    const { error } = await connect(server).auth.signUp({ email: newEmail(), password: '12345' })
    assertAuthError(error, 422, 'weak_password')
    assert.deepEqual(error.reasons, ['length'])
  })

  test('refuses an invalid address', async () => {
    const { error } = await connect(server).auth.signUp({ email: 'nobody', password: 'correct horse' })
    assertAuthError(error, 400, 'validation_failed')
  })
})

describe('sign-in', () => {
  test('opens a session of its own', async () => {
    const ann = await signUp(server)
    const { session } = await signIn(server, ann)
    assert.equal(session.user.id, ann.user.id)
    assert.notEqual(claimsOf(session.access_token).session_id, ann.claims.session_id)
    assert.equal(claimsOf(session.access_token).tenant_id, ann.tenant)
  })

  test('answers a wrong password and an unknown address alike', async () => {
    const ann = await signUp(server)
    const tries = [{ email: ann.email, password: 'wrong' }, { email: newEmail(), password: 'wrong' }]
    for (const credentials of tries) {
      const { data, error } = await connect(server).auth.signInWithPassword(credentials)
      assertAuthError(error, 400, 'invalid_credentials')
      assert.equal(error.name, 'AuthApiError')
      assert.equal(error.message, 'Invalid login credentials')
      assert.equal(data.session, null)
    }
  })
})

describe('refresh', () => {
  test('rotates both tokens and keeps the session', async () => {
    const { client, session, claims, user } = await signUp(server)
    const { data, error } = await client.auth.refreshSession()
    assert.equal(error, null)
    assert.equal(data.user.id, user.id)
    assert.notEqual(data.session.refresh_token, session.refresh_token)
    assert.notEqual(data.session.access_token, session.access_token)
    assert.equal(claimsOf(data.session.access_token).session_id, claims.session_id)
    assert.equal(claimsOf(data.session.access_token).tenant_id, claims.tenant_id)
  })

  test('ends the session when a token is used that was replaced twice', async () => {
    const { client, session: first } = await signUp(server)
    await client.auth.refreshSession()
    const { data } = await client.auth.refreshSession()
    const stolen = await connect(server).auth.refreshSession({ refresh_token: first.refresh_token })
    assertAuthError(stolen.error, 400, 'refresh_token_already_used')
    const { error } = await connect(server).auth.refreshSession({ refresh_token: data.session.refresh_token })
    assert.equal(error?.status, 400, 'the family is revoked')
    assert.equal(await stands(data.session.access_token), false)
  })

  test('refuses an unknown token', async () => {
    const { error } = await connect(server).auth.refreshSession({ refresh_token: 'abcdefghijkl' })
    assertAuthError(error, 400, 'refresh_token_not_found')
  })
})

describe('user', () => {
  test('is returned to its own token only', async () => {
    const { client, user } = await signUp(server)
    const { data, error } = await client.auth.getUser()
    assert.equal(error, null)
    assert.equal(data.user.id, user.id)
    const forged = await connect(server).auth.getUser('not.a.token')
    assertAuthError(forged.error, 403, 'bad_jwt')
  })

  test('is updated with metadata that merges', async () => {
    const { client } = await signUp(server)
    await client.auth.updateUser({ data: { theme: 'dark', locale: 'de' } })
    const { data, error } = await client.auth.updateUser({ data: { theme: 'light' } })
    assert.equal(error, null)
    assert.equal(data.user.user_metadata.theme, 'light')
    assert.equal(data.user.user_metadata.locale, 'de')
    const { data: read } = await client.auth.getUser()
    assert.equal(read.user.user_metadata.theme, 'light')
  })

  test('changes the password, and the old one is refused', async () => {
    const person = await signUp(server)
    const { error } = await person.client.auth.updateUser({ password: 'another horse' })
    assert.equal(error, null)
    const old = await connect(server).auth.signInWithPassword({ email: person.email, password: person.password })
    assertAuthError(old.error, 400, 'invalid_credentials')
    await signIn(server, { email: person.email, password: 'another horse' })
  })

  test('cannot keep the same password or take a short one', async () => {
    const { client, password } = await signUp(server)
    assertAuthError((await client.auth.updateUser({ password })).error, 422, 'same_password')
    assertAuthError((await client.auth.updateUser({ password: '123' })).error, 422, 'weak_password')
  })

  test('cannot write its own claims', async () => {
    const { client, claims } = await signUp(server)
    await client.auth.updateUser({ data: { tenant_id: 'x', role: 'service_role', org_id: 'x' } })
    const { data } = await client.auth.refreshSession()
    const after = claimsOf(data.session.access_token)
    assert.deepEqual([after.role, after.tenant_id, after.org_id], [claims.role, claims.tenant_id, claims.org_id])
  })
})

describe('claims', () => {
  test('are verified with the published keys, without asking for the user', async () => {
    const called = []
    const client = connect(server, { fetch: (url, options) => (called.push(String(url)), fetch(url, options)) })
    const { data: signedUp } = await client.auth.signUp({ email: newEmail(), password: 'correct horse' })
    called.length = 0
    const { data, error } = await client.auth.getClaims()
    assert.equal(error, null)
    assert.equal(data.header.alg, 'ES256')
    assert.ok(data.header.kid)
    assert.equal(data.claims.sub, signedUp.user.id)
    assert.equal(data.claims.tenant_role, 'owner')
    assert.ok(called.every((url) => url.endsWith('/.well-known/jwks.json')), called.join())
  })

  test('that were tampered with are refused', async () => {
    const { session } = await signUp(server)
    const [header, body, signature] = session.access_token.split('.')
    const claims = { ...JSON.parse(Buffer.from(body, 'base64url')), role: 'service_role' }
    const forged = [header, Buffer.from(JSON.stringify(claims)).toString('base64url'), signature].join('.')
    const { data, error } = await connect(server).auth.getClaims(forged)
    assert.equal(data, null)
    assert.ok(error)
    assert.equal(await stands(forged), false)
  })
})

describe('sign-out', () => {
  // Three sessions of one user: the one that signs out and two others.
  async function threeSessions() {
    const ann = await signUp(server)
    const [phone, tablet] = [await signIn(server, ann), await signIn(server, ann)]
    return { client: ann.client, tokens: [ann, phone, tablet].map(({ session }) => session.access_token) }
  }

  for (const [scope, expected] of [
    ['local', [false, true, true]],
    ['others', [true, false, false]],
    ['global', [false, false, false]],
  ]) {
    test(`with scope ${scope} ends exactly the sessions it names, at once`, async () => {
      const { client, tokens } = await threeSessions()
      const { error } = await client.auth.signOut({ scope })
      assert.equal(error, null)
      assert.deepEqual(await Promise.all(tokens.map(stands)), expected)
    })
  }

  test('revokes the refresh token', async () => {
    const { client, session } = await signUp(server)
    await client.auth.signOut()
    const { error } = await connect(server).auth.refreshSession({ refresh_token: session.refresh_token })
    assert.equal(error?.status, 400)
  })

  test('is reported to the client as a missing session', async () => {
    const { client, session } = await signUp(server)
    await client.auth.signOut()
    const { error } = await connect(server).auth.getUser(session.access_token)
    assert.equal(error.name, 'AuthSessionMissingError')
  })
})

test('settings list what the server offers', async () => {
  const response = await fetch(`${server.url}/auth/v1/settings`, { headers: { apikey: server.anonKey } })
  assert.equal(response.status, 200)
  const settings = await response.json()
  assert.equal(settings.external.email, true)
  assert.equal(settings.disable_signup, false)
  assert.equal(settings.mailer_autoconfirm, true)
})

test('published keys contain no private part', async () => {
  const response = await fetch(`${server.url}/auth/v1/.well-known/jwks.json`)
  const { keys } = await response.json()
  assert.ok(keys.length >= 1)
  for (const key of keys) assert.equal(key.d ?? key.k, undefined)
})
