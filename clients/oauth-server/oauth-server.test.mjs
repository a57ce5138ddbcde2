// The authorization server with openid-client, a certified relying party, as the application; the user decides through
// supabase-js, as the project's consent page does.
import { after, before, describe, test } from 'node:test'
import assert from 'node:assert/strict'
import { createClient } from '@supabase/supabase-js'
import * as oidc from 'openid-client'
import ws from 'ws'
import { startServer } from '../supabase-js/server.mjs'

const SITE = 'https://app.example'
const BACK = 'https://shop.example/callback'
const SCOPE = 'openid email profile'

let server
before(async () => {
  const settings = `[auth]\nsite_url = "${SITE}"\n
[auth_oauth]\nenabled = true\nallow_dynamic_registration = true\nauthorization_path = "/oauth/consent"\n`
  server = await startServer(settings, { fill: async () => {} })
})
after(() => server?.stop())

const connect = (key) =>
  createClient(server.url, key, { auth: { autoRefreshToken: false, persistSession: false }, realtime: { transport: ws } })

/** A signed-in user's client. */
async function signUp() {
  const client = connect(server.anonKey)
  const email = `${crypto.randomUUID()}@example.com`
  const { data, error } = await client.auth.signUp({ email, password: 'correct horse' })
  assert.equal(error, null)
  return { client, id: data.user.id, email }
}

/** An application that an administrator has registered, ready to ask. */
async function register(method, authentication) {
  const metadata = { client_name: 'Shop', redirect_uris: [BACK], token_endpoint_auth_method: method }
  const { data, error } = await connect(server.serviceRoleKey).auth.admin.oauth.createClient(metadata)
  assert.equal(error, null)
  return discover(data.client_id, authentication(data.client_secret))
}

const discover = (id, authentication) =>
  oidc.discovery(new URL(`${server.url}/auth/v1`), id, undefined, authentication, { execute: [oidc.allowInsecureRequests] })

/** Asks for authorization; what the application has to remember, and the name of the request on the consent page. */
async function ask(application) {
  const [verifier, state, nonce] = [oidc.randomPKCECodeVerifier(), oidc.randomState(), oidc.randomNonce()]
  const url = oidc.buildAuthorizationUrl(application, {
    redirect_uri: BACK, scope: SCOPE, state, nonce,
    code_challenge: await oidc.calculatePKCECodeChallenge(verifier), code_challenge_method: 'S256',
  })
  const answer = await fetch(url, { redirect: 'manual' })
  assert.equal(answer.status, 302)
  const page = new URL(answer.headers.get('location'))
  assert.equal(page.origin + page.pathname, `${SITE}/oauth/consent`)
  const checks = { pkceCodeVerifier: verifier, expectedState: state, expectedNonce: nonce, idTokenExpected: true }
  return { name: page.searchParams.get('authorization_id'), checks }
}

/** The whole flow. */
async function signIn(application, user) {
  const { name, checks } = await ask(application)
  const { data: details, error } = await user.client.auth.oauth.getAuthorizationDetails(name)
  assert.equal(error, null)
  const decided = details.redirect_url ? { data: details } : await user.client.auth.oauth.approveAuthorization(name)
  assert.equal(decided.error ?? null, null)
  return oidc.authorizationCodeGrant(application, new URL(decided.data.redirect_url), checks)
}

describe('openid-client', () => {
  const kinds = {
    client_secret_basic: (secret) => oidc.ClientSecretBasic(secret),
    client_secret_post: (secret) => oidc.ClientSecretPost(secret),
    none: () => oidc.None(),
  }
  for (const [method, authentication] of Object.entries(kinds)) {
    test(`signs in, reads the profile and refreshes with ${method}`, async () => {
      const [application, user] = [await register(method, authentication), await signUp()]
      const tokens = await signIn(application, user)
      assert.equal(tokens.claims().sub, user.id)
      assert.equal(tokens.claims().email, user.email)
      assert.equal(tokens.scope, SCOPE)
      const profile = await oidc.fetchUserInfo(application, tokens.access_token, user.id)
      assert.equal(profile.email, user.email)
      assert.equal(profile.email_verified, true)
      const renewed = await oidc.refreshTokenGrant(application, tokens.refresh_token)
      assert.notEqual(renewed.access_token, tokens.access_token)
      assert.notEqual(renewed.refresh_token, tokens.refresh_token)
    })
  }

  test('verifies the signature of the ID token with the published keys', async () => {
    const [application, user] = [await register('none', () => oidc.None()), await signUp()]
    oidc.enableNonRepudiationChecks(application)
    const tokens = await signIn(application, user)
    assert.equal(tokens.claims().aud, application.clientMetadata().client_id)
  })

  test('registers itself', async () => {
    const application = await oidc.dynamicClientRegistration(
      new URL(`${server.url}/auth/v1`),
      { redirect_uris: [BACK], client_name: 'Robot', token_endpoint_auth_method: 'client_secret_post' },
      undefined,
      { execute: [oidc.allowInsecureRequests] },
    )
    const tokens = await signIn(application, await signUp())
    assert.ok(tokens.refresh_token)
  })

  test('is told that the user has refused', async () => {
    const [application, user] = [await register('none', () => oidc.None()), await signUp()]
    const { name, checks } = await ask(application)
    await user.client.auth.oauth.getAuthorizationDetails(name)
    const { data, error } = await user.client.auth.oauth.denyAuthorization(name)
    assert.equal(error, null)
    const refused = oidc.authorizationCodeGrant(application, new URL(data.redirect_url), checks)
    await assert.rejects(refused, (thrown) => thrown.error === 'access_denied')
  })

  test('gets nothing for a used code, and loses what it got', async () => {
    const [application, user] = [await register('none', () => oidc.None()), await signUp()]
    const { name, checks } = await ask(application)
    await user.client.auth.oauth.getAuthorizationDetails(name)
    const { data } = await user.client.auth.oauth.approveAuthorization(name)
    const tokens = await oidc.authorizationCodeGrant(application, new URL(data.redirect_url), checks)
    const again = oidc.authorizationCodeGrant(application, new URL(data.redirect_url), checks)
    await assert.rejects(again, (thrown) => thrown.error === 'invalid_grant')
    await assert.rejects(oidc.fetchUserInfo(application, tokens.access_token, user.id))
  })
})

describe('supabase-js', () => {
  test('lists and revokes what the user has allowed', async () => {
    const [application, user] = [await register('none', () => oidc.None()), await signUp()]
    const tokens = await signIn(application, user)
    const { data: grants } = await user.client.auth.oauth.listGrants()
    assert.deepEqual(grants.map((grant) => [grant.client.name, grant.scopes.join(' ')]), [['Shop', SCOPE]])
    const { error } = await user.client.auth.oauth.revokeGrant({ clientId: application.clientMetadata().client_id })
    assert.equal(error, null)
    await assert.rejects(oidc.refreshTokenGrant(application, tokens.refresh_token), (thrown) => thrown.error === 'invalid_grant')
  })

  test('administers applications', async () => {
    const { oauth } = connect(server.serviceRoleKey).auth.admin
    const made = await oauth.createClient({ client_name: 'One', redirect_uris: [BACK] })
    assert.equal(made.error, null)
    const id = made.data.client_id
    const changed = await oauth.updateClient(id, { client_name: 'Two' })
    assert.equal(changed.data.client_name, 'Two')
    const renewed = await oauth.regenerateClientSecret(id)
    assert.notEqual(renewed.data.client_secret, made.data.client_secret)
    const listed = await oauth.listClients({ page: 1, perPage: 1 })
    assert.equal(listed.data.clients[0].client_id, id)
    assert.equal((await oauth.deleteClient(id)).error, null)
    assert.equal((await oauth.getClient(id)).error.code, 'oauth_client_not_found')
  })
})
