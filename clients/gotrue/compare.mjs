#!/usr/bin/env node
// Sends the same requests to a Rowhouse of its own and to a GoTrue, and compares status and body of the answers.
//
//     clients/gotrue/compare.mjs PROGRAM DATABASE_URL [--verbose]
//
// PROGRAM is GoTrue, built from its Go module; DATABASE_URL is an empty database of its own in which it finds what its
// `hack/init_postgres.sql` makes. Exit 0 when every answer is the same but those listed in different.json, 1 when another
// differs or a listed one does not, 2 when a server could not be asked.
import { spawn } from 'node:child_process'
import { createHmac, randomUUID } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { isDeepStrictEqual } from 'node:util'
import { join } from 'node:path'
import { startServer } from '../supabase-js/server.mjs'
import { normal } from './normal.mjs'
import { confirmed, unconfirmed } from './requests.mjs'

const SECRET = 'a secret of two servers that are compared'
const PORT = 24_999
const START_LIMIT_MS = 60_000
/** The two ways to run a server: with addresses that are confirmed at once, and by mail. */
const RUNS = [
  { autoconfirm: true, requests: confirmed },
  { autoconfirm: false, requests: unconfirmed },
]
const settings = (autoconfirm) => `[auth]
jwt_secret = "${SECRET}"
mailer_autoconfirm = ${autoconfirm}
anonymous_users = true
site_url = "http://127.0.0.1:3000"
redirect_urls = ["https://app.example.com/**"]
mfa_webauthn_enabled = true
passkeys_enabled = true
webauthn_rp_id = "localhost"
webauthn_rp_origins = ["http://localhost:5173"]
mailer_max_frequency = "0s"
`

/** The same for GoTrue. It sends its mails nowhere. */
function environment(database, autoconfirm) {
  return {
    DATABASE_URL: database,
    GOTRUE_DB_DRIVER: 'postgres',
    GOTRUE_DB_AUTOMIGRATE: 'true',
    DB_NAMESPACE: 'auth',
    GOTRUE_API_HOST: '127.0.0.1',
    PORT: String(PORT),
    API_EXTERNAL_URL: `http://127.0.0.1:${PORT}`,
    GOTRUE_SITE_URL: 'http://127.0.0.1:3000',
    GOTRUE_URI_ALLOW_LIST: 'https://app.example.com/**',
    GOTRUE_JWT_SECRET: SECRET,
    GOTRUE_JWT_EXP: '3600',
    GOTRUE_JWT_AUD: 'authenticated',
    GOTRUE_JWT_ADMIN_ROLES: 'supabase_admin,service_role',
    GOTRUE_JWT_DEFAULT_GROUP_NAME: 'authenticated',
    GOTRUE_MAILER_AUTOCONFIRM: String(autoconfirm),
    GOTRUE_EXTERNAL_ANONYMOUS_USERS_ENABLED: 'true',
    GOTRUE_EXTERNAL_PHONE_ENABLED: 'false',
    GOTRUE_SMTP_MAX_FREQUENCY: '1ns',
    GOTRUE_RATE_LIMIT_EMAIL_SENT: '100000',
    GOTRUE_MFA_WEB_AUTHN_ENROLL_ENABLED: 'true',
    GOTRUE_MFA_WEB_AUTHN_VERIFY_ENABLED: 'true',
    GOTRUE_PASSKEY_ENABLED: 'true',
    GOTRUE_WEBAUTHN_RP_ID: 'localhost',
    GOTRUE_WEBAUTHN_RP_DISPLAY_NAME: 'localhost',
    GOTRUE_WEBAUTHN_RP_ORIGINS: 'http://localhost:5173',
    GOTRUE_LOG_LEVEL: 'error',
  }
}

async function main([program, database, option]) {
  if (!program || !database || (option && option !== '--verbose')) {
    throw new Error('usage: clients/gotrue/compare.mjs PROGRAM DATABASE_URL [--verbose]')
  }
  const listed = JSON.parse(await readFile(join(import.meta.dirname, 'different.json'), 'utf8'))
  const answers = [[], []]
  for (const { autoconfirm, requests } of RUNS) {
    const ours = await startServer(settings(autoconfirm), { fill: async () => {} })
    const theirs = await startGoTrue(program, environment(database, autoconfirm))
    try {
      const both = await Promise.all([ask(`${ours.url}/auth/v1`, requests), ask(theirs.url, requests)])
      both.forEach((some, index) => answers[index].push(...some))
    } finally {
      await theirs.stop()
      await ours.stop()
    }
  }
  return report(answers, listed, option === '--verbose')
}

async function startGoTrue(program, env) {
  const child = spawn(program, [], { env, stdio: ['ignore', 'ignore', 'pipe'] })
  let said = ''
  child.stderr.on('data', (text) => (said += text))
  const url = `http://127.0.0.1:${PORT}`
  const limit = Date.now() + START_LIMIT_MS
  while (Date.now() < limit && child.exitCode === null) {
    const response = await fetch(`${url}/health`).catch(() => null)
    if (response?.ok) return { url, stop: () => ended(child) }
    await new Promise((wake) => setTimeout(wake, 100))
  }
  child.kill('SIGTERM')
  throw new Error(`${program} is not ready\n${said}`)
}

function ended(child) {
  const exited = new Promise((resolve) => child.once('exit', resolve))
  child.kill('SIGTERM')
  return exited
}

/** The answers of a server to all requests; each may need what an earlier one has answered. */
async function ask(base, requests) {
  const kept = { service: sign({ role: 'service_role' }), anon: sign({ role: 'anon' }), sign, run: randomUUID().slice(0, 8) }
  const answers = []
  for (const request of requests) {
    const { name, as, keep, headers } = request
    const [method, path, body] = request.send(kept)
    const token = typeof as === 'function' ? as(kept) : as && (kept[as] ?? as)
    const response = await fetch(base + path, {
      method,
      redirect: 'manual',
      headers: {
        ...(token && { authorization: token.includes(' ') ? token : `Bearer ${token}` }),
        'x-supabase-api-version': '2024-01-01',
        ...headers,
      },
      body,
    })
    const text = await response.text()
    const json = parsed(text)
    Object.assign(kept, keep?.(json, response.headers) ?? {})
    const location = response.headers.get('location')
    // Pages beside a redirect are for nobody.
    const told = { status: response.status, location, body: location ? null : json }
    answers.push({ name, ...normal(told, base, kept.run) })
  }
  return answers
}

function parsed(text) {
  try {
    return JSON.parse(text)
  } catch {
    return text
  }
}

function sign(claims) {
  const now = Math.floor(Date.now() / 1000)
  const encode = (value) => Buffer.from(JSON.stringify(value)).toString('base64url')
  const head = `${encode({ alg: 'HS256', typ: 'JWT' })}.${encode({ aud: 'authenticated', iat: now, exp: now + 3600, ...claims })}`
  return `${head}.${createHmac('sha256', SECRET).update(head).digest('base64url')}`
}

/** Says what differs; 0 when all of it is listed, and all that is listed differs. */
function report([ours, theirs], listed, isVerbose) {
  const used = new Set()
  const counts = { same: 0, fields: 0, listed: 0, unlisted: 0 }
  for (const [index, answer] of ours.entries()) {
    const differing = differences(answer, theirs[index])
    const isListed = (path) => Object.keys(listed.fields).find((field) => path.endsWith(field))
    const rest = differing.filter(([path]) => !isListed(path))
    for (const [path] of differing) used.add(isListed(path))
    if (rest.length > 0) used.add(answer.name)
    const kind = differing.length === 0 ? 'same' : rest.length === 0 ? 'fields' : answer.name in listed.requests ? 'listed' : 'unlisted'
    counts[kind] += 1
    if (kind === 'unlisted' || (isVerbose && kind === 'listed')) show(answer.name, rest)
  }
  const stale = [...Object.keys(listed.fields), ...Object.keys(listed.requests)].filter((name) => !used.has(name))
  for (const name of stale) console.log(`LISTED, BUT THE SAME  ${name}`)
  const { same, fields, listed: known, unlisted } = counts
  console.log(`${ours.length} requests: ${same} answers are the same, ${fields} but for listed fields, ${known} differ as listed, ${unlisted} differ`)
  return unlisted + stale.length === 0 ? 0 : 1
}

function show(name, differing) {
  console.log(`DIFFERS  ${name}`)
  for (const [path, here, there] of differing) console.log(`  ${path}\n    here    ${JSON.stringify(here)}\n    GoTrue  ${JSON.stringify(there)}`)
}

/** The paths at which two values differ, with both. */
function differences(here, there, path = '') {
  if (isDeepStrictEqual(here, there)) return []
  const isObject = (value) => value !== null && typeof value === 'object' && !Array.isArray(value)
  if (Array.isArray(here) && Array.isArray(there) && here.length === there.length) {
    return here.flatMap((item, index) => differences(item, there[index], `${path}[${index}]`))
  }
  if (!isObject(here) || !isObject(there)) return [[path, here, there]]
  const keys = [...new Set([...Object.keys(here), ...Object.keys(there)])]
  return keys.flatMap((key) => differences(here[key], there[key], `${path}.${key}`))
}

main(process.argv.slice(2)).then(
  (code) => (process.exitCode = code),
  (error) => {
    console.error(error.message)
    process.exitCode = 2
  },
)
