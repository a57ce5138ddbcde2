// External sign-in through supabase-js, with a real OpenID provider on the other side.
import { after, before, describe, test } from 'node:test'
import assert from 'node:assert/strict'
import { createClient } from '@supabase/supabase-js'
import ws from 'ws'
import { startServer } from '../supabase-js/server.mjs'
import { ACCOUNT, browse, startProvider } from './provider.mjs'

const SITE = 'https://app.example'
const PORT = 20_000 + 10 * Math.floor(Math.random() * 4_000)
const people = {
  ann: ACCOUNT,
  bea: { sub: 'bea', email: 'bea@example.com', email_verified: true, name: 'Bea' },
  eve: { sub: 'eve', email: 'ann@example.com', email_verified: false, name: 'Eve' },
}

let provider
let server
before(async () => {
  const back = `http://127.0.0.1:${PORT}/auth/v1/callback`
  provider = await startProvider([back, back.replace('127.0.0.1', 'localhost')], people)
  const settings = `[auth]\nsite_url = "${SITE}"\nmanual_linking = true\n\n[auth.external.acme]\n${provider.settings}`
  server = await startServer(settings, { port: PORT, fill: async () => {} })
})
after(async () => {
  await server?.stop()
  await provider?.stop()
})

function connect(flowType) {
  const kept = new Map()
  const storage = {
    getItem: (key) => kept.get(key) ?? null,
    setItem: (key, value) => void kept.set(key, value),
    removeItem: (key) => void kept.delete(key),
  }
  const auth = { flowType, storage, autoRefreshToken: false, persistSession: true, detectSessionInUrl: false }
  return createClient(server.url, server.anonKey, { auth, realtime: { transport: ws } })
}

async function begin(client, options = {}) {
  const { data, error } = await client.auth.signInWithOAuth({ provider: 'acme', options: { skipBrowserRedirect: true, ...options } })
  assert.equal(error, null)
  return data.url
}

const within = () => [server.url, provider.url]

async function signIn(client, login) {
  const back = await browse(await begin(client), login, within())
  const { data, error } = await client.auth.exchangeCodeForSession(back.searchParams.get('code'))
  assert.equal(error, null)
  return data
}

describe('redirects', () => {
  test('PKCE: the code is exchanged for a session with the tokens of the provider', async () => {
    const client = connect('pkce')
    const back = await browse(await begin(client, { redirectTo: `${SITE}/welcome` }), 'ann', within())
    assert.equal(back.origin + back.pathname, `${SITE}/welcome`)
    assert.equal(back.hash, '')
    const { data, error } = await client.auth.exchangeCodeForSession(back.searchParams.get('code'))
    assert.equal(error, null)
    assert.equal(data.user.email, ACCOUNT.email)
    assert.equal(data.user.app_metadata.provider, 'acme')
    assert.equal(data.user.user_metadata.full_name, ACCOUNT.name)
    assert.ok(data.session.provider_token)
    const me = await fetch(`${provider.url}/me`, { headers: { authorization: `Bearer ${data.session.provider_token}` } })
    assert.equal((await me.json()).sub, 'ann')
  })

  test('implicit: the session is in the fragment', async () => {
    const client = connect('implicit')
    const back = await browse(await begin(client), 'ann', within())
    const fragment = new URLSearchParams(back.hash.slice(1))
    const { data, error } = await client.auth.setSession({
      access_token: fragment.get('access_token'),
      refresh_token: fragment.get('refresh_token'),
    })
    assert.equal(error, null)
    assert.equal(data.user.email, ACCOUNT.email)
    assert.ok(fragment.get('provider_token'))
    assert.equal(back.search, '')
  })

  test('an unverified address of somebody else opens nothing', async () => {
    const back = await browse(await begin(connect('pkce')), 'eve', within())
    assert.equal(back.searchParams.get('error_code'), 'provider_email_needs_verification')
    assert.equal(back.searchParams.get('code'), null)
  })

  test('the end of a sign-in is refused in another browser', async () => {
    const there = await begin(connect('implicit'))
    const back = await browse(there, 'ann', [`${server.url}/auth/v1/authorize`, provider.url])
    assert.equal(back.pathname, '/auth/v1/callback')
    const answer = await fetch(back, { redirect: 'manual' })
    const refused = new URL(answer.headers.get('location'))
    assert.equal(refused.searchParams.get('error_code'), 'bad_oauth_state')
    assert.equal(new URLSearchParams(refused.hash.slice(1)).get('access_token'), null)
  })

  test('a foreign target becomes the site', async () => {
    const back = await browse(await begin(connect('pkce'), { redirectTo: 'https://evil.example/' }), 'ann', within())
    assert.equal(back.origin, SITE)
  })
})

describe('ID tokens', () => {
  test('one that the provider has issued for us opens a session', async () => {
    // The token of a redirect of our own, exchanged here instead of by the server.
    const verifier = 'dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk'
    const hash = async (text, to) => Buffer.from(await crypto.subtle.digest('SHA-256', Buffer.from(text))).toString(to)
    const query = new URLSearchParams({
      client_id: 'rowhouse', response_type: 'code', scope: 'openid email profile', state: 'x',
      nonce: await hash('mine', 'hex'), redirect_uri: `${server.url}/auth/v1/callback`,
      code_challenge: await hash(verifier, 'base64url'), code_challenge_method: 'S256',
    })
    query.set('claims', JSON.stringify({ id_token: { email: null, email_verified: null, name: null } }))
    const back = await browse(`${provider.url}/auth?${query}`, 'ann', [provider.url])
    const answer = await fetch(`${provider.url}/token`, {
      method: 'POST',
      headers: { authorization: `Basic ${btoa('rowhouse:a+client+secret+that+is+long+enough')}` },
      body: new URLSearchParams({
        grant_type: 'authorization_code', code: back.searchParams.get('code'), code_verifier: verifier,
        redirect_uri: `${server.url}/auth/v1/callback`,
      }),
    })
    const tokens = await answer.json()
    assert.ok(tokens.id_token, JSON.stringify(tokens))
    const grant = { provider: 'acme', token: tokens.id_token, access_token: tokens.access_token }
    const refused = await connect('pkce').auth.signInWithIdToken({ ...grant, nonce: 'other' })
    assert.equal(refused.error?.status, 400)
    const { data, error } = await connect('pkce').auth.signInWithIdToken({ ...grant, nonce: 'mine' })
    assert.equal(error, null)
    assert.equal(data.user.app_metadata.provider, 'acme')
  })
})

describe('links', () => {
  test('an identity is linked and unlinked', async () => {
    const client = connect('pkce')
    const email = `${crypto.randomUUID()}@example.com`
    const made = await client.auth.signUp({ email, password: 'correct horse' })
    assert.equal(made.error, null)
    const { data, error } = await client.auth.linkIdentity({ provider: 'acme', options: { skipBrowserRedirect: true } })
    assert.equal(error, null)
    const back = await browse(data.url, 'bea', within())
    const linked = await client.auth.exchangeCodeForSession(back.searchParams.get('code'))
    assert.equal(linked.error, null)
    assert.equal(linked.data.user.id, made.data.user.id)
    const { data: { identities } } = await client.auth.getUserIdentities()
    assert.deepEqual(identities.map((identity) => identity.provider).sort(), ['acme', 'email'])
    const unlinked = await client.auth.unlinkIdentity(identities.find((identity) => identity.provider === 'acme'))
    assert.equal(unlinked.error, null)
    const last = await client.auth.unlinkIdentity(identities.find((identity) => identity.provider === 'email'))
    assert.equal(last.error?.code, 'single_identity_not_deletable')
  })

  test('the same person comes back to the same account', async () => {
    const [one, two] = [await signIn(connect('pkce'), 'ann'), await signIn(connect('pkce'), 'ann')]
    assert.equal(one.user.id, two.user.id)
    assert.notEqual(one.session.access_token, two.session.access_token)
  })
})
