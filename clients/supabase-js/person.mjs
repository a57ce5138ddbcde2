// Users and their clients, as a front end creates them.
import { randomUUID } from 'node:crypto'
import { createClient } from '@supabase/supabase-js'
import WebSocket from 'ws'

/** A client with `key`, or the anon key; `token` makes it act with somebody's access token. */
export function connect(server, { key = server.anonKey, token, fetch } = {}) {
  return createClient(server.url, key, {
    auth: { persistSession: false, autoRefreshToken: false, detectSessionInUrl: false },
    global: { ...(token && { headers: { Authorization: `Bearer ${token}` } }), ...(fetch && { fetch }) },
    // Node.js 20 has no WebSocket, and the client requires one even if it is never used.
    realtime: { transport: globalThis.WebSocket ?? WebSocket },
  })
}

/** The client that looks past row-level security. */
export function connectService(server) {
  return connect(server, { key: server.serviceRoleKey })
}

export function newEmail() {
  return `person-${randomUUID()}@example.com`
}

/** A new user with a client that is signed in. */
export async function signUp(server) {
  const [email, password] = [newEmail(), randomUUID()]
  const client = connect(server)
  const { data, error } = await client.auth.signUp({ email, password })
  if (error) throw error
  const claims = claimsOf(data.session.access_token)
  return { client, email, password, user: data.user, session: data.session, claims, tenant: claims.tenant_id }
}

/** The same user on another device. */
export async function signIn(server, person) {
  const client = connect(server)
  const { data, error } = await client.auth.signInWithPassword({ email: person.email, password: person.password })
  if (error) throw error
  return { client, session: data.session }
}

/** What a token says, unverified. */
export function claimsOf(token) {
  return JSON.parse(Buffer.from(token.split('.')[1], 'base64url'))
}
