// WebAuthn ceremonies of supabase-js in a real browser: a second factor, passkeys, and what must be refused.
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { startServer } from '../supabase-js/server.mjs'
import { findBrowser, openBrowser, plugIn, serveFrontEnd } from './browser.mjs'

const path = await findBrowser()
const skip = path ? false : 'no Chromium or Chrome on the PATH, and none in the variable CHROMIUM'
if (skip) console.log(`WebAuthn in a browser is not tested: ${skip}`)

describe('WebAuthn in a browser', { skip }, () => {
  let server, frontEnd, browser, page, key

  before(async () => {
    frontEnd = await serveFrontEnd()
    const origin = `http://localhost:${frontEnd.port}`
    const settings = `[auth]
      site_url = "${origin}"
      mfa_webauthn_enabled = true
      passkeys_enabled = true`
    server = await startServer(settings, { fill: async () => {} })
    browser = await openBrowser(path, origin)
    page = browser.page
    key = await plugIn(browser.devtools)
    await page.evaluate(
      (url, anonKey) => {
        const open = () =>
          supabase.createClient(url, anonKey, {
            auth: { persistSession: false, autoRefreshToken: false, experimental: { passkey: true } },
          }).auth
        window.open_ = open
        window.auth = open()
        window.claims = (session) => JSON.parse(atob(session.access_token.split('.')[1].replace(/-/g, '+').replace(/_/g, '/')))
      },
      server.url,
      server.anonKey,
    )
  })

  after(async () => {
    await browser?.stop()
    await frontEnd?.stop()
    await server?.stop()
  })

  /** Signs a new user up in the page. */
  const signUp = (email) =>
    page.evaluate(async (email) => {
      const { error } = await auth.signUp({ email, password: 'correct horse' })
      if (error) throw new Error(error.message)
    }, email)

  test('a security key is enrolled as a second factor and raises further sessions', async () => {
    await signUp('key@example.com')
    const seen = await page.evaluate(async () => {
      const registered = await auth.mfa.webauthn.register({ friendlyName: 'key' })
      if (registered.error) return { error: String(registered.error) }
      const first = claims(registered.data)
      const other = open_()
      await other.signInWithPassword({ email: 'key@example.com', password: 'correct horse' })
      const { data: factors } = await other.mfa.listFactors()
      const [factor] = factors.all
      const before = await other.mfa.getAuthenticatorAssuranceLevel()
      const raised = await other.mfa.webauthn.authenticate({ factorId: factor.id })
      if (raised.error) return { error: String(raised.error) }
      return { first, before: before.data, status: factor.status, type: factor.factor_type, second: claims(raised.data) }
    })
    assert.equal(seen.error, undefined)
    assert.deepEqual([seen.status, seen.type], ['verified', 'webauthn'])
    assert.deepEqual([seen.before.currentLevel, seen.before.nextLevel], ['aal1', 'aal2'])
    for (const claims of [seen.first, seen.second]) {
      assert.deepEqual([claims.aal, claims.amr[0].method], ['aal2', 'mfa/webauthn'])
    }
  })

  test('a passkey is registered, signs in, is renamed and removed', async () => {
    await signUp('passkey@example.com')
    const seen = await page.evaluate(async () => {
      const registered = await auth.registerPasskey()
      if (registered.error) return { error: String(registered.error) }
      const other = open_()
      const signedIn = await other.signInWithPasskey()
      if (signedIn.error) return { error: String(signedIn.error) }
      const passkeyId = registered.data.id
      const renamed = await other.passkey.update({ passkeyId, friendlyName: 'laptop' })
      const listed = await other.passkey.list()
      const removed = await other.passkey.delete({ passkeyId })
      const again = await open_().signInWithPasskey()
      return {
        claims: claims(signedIn.data.session),
        email: signedIn.data.user.email,
        renamed: renamed.data?.friendly_name,
        listed: listed.data,
        removed: removed.error,
        again: again.error?.code,
      }
    })
    assert.equal(seen.error, undefined)
    assert.equal(seen.email, 'passkey@example.com')
    assert.deepEqual([seen.claims.aal, seen.claims.amr[0].method], ['aal1', 'passkey'])
    assert.equal(seen.renamed, 'laptop')
    assert.equal(seen.listed.length, 1)
    assert.equal(typeof seen.listed[0].last_used_at, 'string')
    assert.equal(seen.removed, null)
    assert.equal(seen.again, 'webauthn_verification_failed')
  })

  test('a cloned authenticator is refused', async () => {
    const { devtools } = browser
    await devtools.send('WebAuthn.clearCredentials', { authenticatorId: key })
    await signUp('clone@example.com')
    const use = () => page.evaluate(async () => (await open_().signInWithPasskey()).error?.code ?? 'signed in')
    const error = await page.evaluate(async () => (await auth.registerPasskey()).error)
    assert.equal(error, null)
    assert.equal(await use(), 'signed in')
    const { credentials } = await devtools.send('WebAuthn.getCredentials', { authenticatorId: key })
    assert.equal(await use(), 'signed in')
    // The copy has the key, but a counter from before the last sign-in.
    await devtools.send('WebAuthn.clearCredentials', { authenticatorId: key })
    const credential = { ...credentials[0], signCount: credentials[0].signCount - 1 }
    await devtools.send('WebAuthn.addCredential', { authenticatorId: key, credential })
    assert.equal(await use(), 'webauthn_verification_failed')
  })

  test('a page of another origin cannot answer', async () => {
    const seen = await page.evaluate(async () => {
      const owner = open_()
      await owner.signInWithPassword({ email: 'passkey@example.com', password: 'correct horse' })
      const { data, error } = await owner.passkey.startRegistration()
      return error ? String(error) : data.options.rp.id
    })
    // The browser itself refuses other domains; the server is asked with the answer of a page on another port.
    assert.equal(seen, 'localhost')
    const stranger = await serveFrontEnd()
    try {
      await page.goto(`http://localhost:${stranger.port}`)
      const refused = await page.evaluate(
        async (url, anonKey) => {
          const auth = { persistSession: false, autoRefreshToken: false, experimental: { passkey: true } }
          const client = supabase.createClient(url, anonKey, { auth })
          await client.auth.signInWithPassword({ email: 'passkey@example.com', password: 'correct horse' })
          return (await client.auth.registerPasskey()).error?.code
        },
        server.url,
        server.anonKey,
      )
      assert.equal(refused, 'webauthn_verification_failed')
    } finally {
      await stranger.stop()
    }
  })
})
