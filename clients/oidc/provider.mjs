// A certified OpenID provider (oidc-provider) on loopback, and a person who agrees to everything in its development pages.
import { createServer } from 'node:http'
import Provider from 'oidc-provider'

export const CLIENT_ID = 'rowhouse'
const CLIENT_SECRET = 'a client secret that is long enough'
export const ACCOUNT = { sub: 'ann', email: 'ann@example.com', email_verified: true, name: 'Ann Example' }

/** Starts the provider; `back` are the redirect URIs of its client. `people` maps a login to claims. */
export async function startProvider(back, people = { ann: ACCOUNT }) {
  const server = createServer()
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve))
  const url = `http://127.0.0.1:${server.address().port}`
  const provider = new Provider(url, {
    clients: [
      {
        client_id: CLIENT_ID,
        client_secret: CLIENT_SECRET,
        redirect_uris: back,
        grant_types: ['authorization_code', 'refresh_token'],
        response_types: ['code'],
      },
    ],
    claims: { openid: ['sub'], email: ['email', 'email_verified'], profile: ['name'] },
    pkce: { required: () => true },
    features: { claimsParameter: { enabled: true } },
    findAccount: (_, id) => people[id] && { accountId: id, claims: () => people[id] },
    cookies: { keys: ['a key for cookies'] },
  })
  server.on('request', provider.callback())
  const settings = `client_id = ["${CLIENT_ID}"]\nsecret = "${CLIENT_SECRET}"\nissuer = "${url}"\n`
  return { url, settings, stop: () => new Promise((resolve) => (server.closeAllConnections(), server.close(resolve))) }
}

/** Follows the redirects from `url`, signs in as `login` where a page asks, and returns the first URL outside of `within`. */
export async function browse(url, login, within) {
  const cookies = new Map()
  let request = { url, method: 'GET' }
  for (let step = 0; step < 20; step += 1) {
    if (!within.some((origin) => request.url.startsWith(origin))) return new URL(request.url)
    const answer = await fetch(request.url, {
      method: request.method,
      body: request.body,
      redirect: 'manual',
      headers: { cookie: [...cookies].map(([name, value]) => `${name}=${value}`).join('; ') },
    })
    for (const cookie of answer.headers.getSetCookie()) {
      const [name, value] = cookie.split(';')[0].split(/=(.*)/s)
      cookies.set(name, value)
    }
    const location = answer.headers.get('location')
    if (location) {
      request = { url: new URL(location, request.url).href, method: 'GET' }
      continue
    }
    const page = await answer.text()
    const action = page.match(/<form[^>]* action="([^"]+)"/)?.[1]
    if (answer.status !== 200 || !action) throw new Error(`${answer.status} at ${request.url}: ${page.slice(0, 500)}`)
    const prompt = page.includes('value="login"') ? 'login' : 'consent'
    const body = new URLSearchParams({ prompt, ...(prompt === 'login' && { login, password: 'any' }) })
    request = { url: new URL(action, request.url).href, method: 'POST', body }
  }
  throw new Error('too many redirects')
}
