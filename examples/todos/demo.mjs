// Two customers of one product, each with the unmodified supabase-js client, and what each of them can see.
// Needs a running project: `./run` in another terminal, then `npm ci` once in this folder and `node demo.mjs`.
// Exits 1 if anything of one tenant reaches the other.
import { readFileSync } from 'node:fs'
import { randomUUID } from 'node:crypto'
import { join } from 'node:path'
import { createClient } from '@supabase/supabase-js'
import WebSocket from 'ws'

const project = process.argv[2] ?? import.meta.dirname
const { url, anon_key } = readState(join(project, '.rowhouse', 'state.json'))
let failures = 0

console.log(`Talking to ${url}\n`)

const ann = await signUp('Ann')
const bob = await signUp('Bob')

console.log('\nEach makes a list and writes on it:')
await write(ann, 'Launch', ['Call the printer', 'Order the cake'])
await write(bob, 'Launch', ['Renew the passport'])
await ann.db.from('todos').update({ done: true }).eq('title', 'Call the printer').throwOnError()

console.log('\nEach asks for all todos there are:')
await show(ann)
await show(bob)

console.log('\nBob tries to get at what Ann wrote:')
const [todo] = await rows(ann.db.from('todos').select('id, title, list_id').eq('title', 'Order the cake'))
await expectNothing('reads her todo by its id', bob.db.from('todos').select().eq('id', todo.id))
await expectNothing('changes her todo', bob.db.from('todos').update({ title: 'mine' }).eq('id', todo.id).select())
await expectNothing('deletes her todo', bob.db.from('todos').delete().eq('id', todo.id).select())
await expectRefusal('writes a todo into her tenant', bob.db.from('todos').insert({ title: 'gift', tenant_id: ann.tenant }))
await expectRefusal('moves his todos into her tenant', bob.db.from('todos').update({ tenant_id: ann.tenant }).gt('id', 0))
await expectRefusal('puts a todo on her list', bob.db.from('todos').insert({ title: 'spy', list_id: todo.list_id }))

console.log('\nSomebody who has not signed in tries, too:')
await expectRefusal('reads all todos', connect().from('todos').select())

console.log('\nAnn signs out, and a copy of her access token is used once more:')
const copy = connect(ann.token)
await ann.db.auth.signOut().then(({ error }) => error && fail(`sign-out failed: ${error.message}`))
await expectRefusal('reads all todos', copy.from('todos').select())

console.log('\nAnn signs in again, and nothing of hers has changed:')
const { error } = await ann.db.auth.signInWithPassword({ email: ann.email, password: ann.password })
if (error) fail(`sign-in failed: ${error.message}`)
const titles = await show(ann)
if (titles.join() !== 'Call the printer,Order the cake') fail(`Ann's todos are ${titles.join(', ')}`)

console.log(failures === 0 ? '\nThe two tenants are isolated.' : `\n${failures} thing(s) went wrong.`)
process.exit(failures === 0 ? 0 : 1)

function readState(path) {
  try {
    return JSON.parse(readFileSync(path, 'utf8'))
  } catch {
    console.error(`Nothing is running here: ${path} is missing.\nStart the project with ./run at the repository's root, and try again.`)
    process.exit(2)
  }
}

// A client as a browser has it: the public anon key, plus somebody's access token where one is given.
function connect(token) {
  return createClient(url, anon_key, {
    auth: { persistSession: false, autoRefreshToken: false },
    global: token ? { headers: { Authorization: `Bearer ${token}` } } : {},
    // Node.js 20 has no WebSocket of its own, and the client wants one even if it is never used.
    realtime: { transport: globalThis.WebSocket ?? WebSocket },
  })
}

async function signUp(name) {
  const db = connect()
  const email = `${name.toLowerCase()}-${randomUUID().slice(0, 8)}@example.com`
  const password = randomUUID()
  const { data, error } = await db.auth.signUp({ email, password, options: { data: { full_name: name } } })
  if (error) throw new Error(`${name} could not sign up: ${error.message}`)
  const token = data.session.access_token
  const tenant = JSON.parse(Buffer.from(token.split('.')[1], 'base64url')).tenant_id
  console.log(`${name} signs up as ${email} and gets a tenant of their own, ${tenant}`)
  return { name, db, email, password, token, tenant }
}

async function write(person, list, titles) {
  const { data } = await person.db.from('lists').insert({ name: list }).select().single().throwOnError()
  const todos = titles.map((title) => ({ title, list_id: data.id, priority: 'normal' }))
  await person.db.from('todos').insert(todos).throwOnError()
  console.log(`  ${person.name} writes on "${list}": ${titles.join(', ')}`)
}

async function show(person) {
  const todos = await rows(person.db.from('todos').select('title, done, tenant_id').order('id'))
  const shown = todos.map((todo) => `${todo.done ? '[x]' : '[ ]'} ${todo.title}`)
  console.log(`  ${person.name} sees ${todos.length}: ${shown.join('  ')}`)
  if (todos.some((todo) => todo.tenant_id !== person.tenant)) fail(`${person.name} sees another tenant's todos`)
  return todos.map((todo) => todo.title)
}

async function rows(request) {
  return (await request.throwOnError()).data
}

async function expectNothing(what, request) {
  const { data, error, status } = await request
  if (error) fail(`${what}: ${status} ${error.message}`)
  else if (data.length > 0) fail(`${what}: ${status}, ${data.length} rows`)
  else console.log(`  ${what}: ${status}, 0 rows`)
}

async function expectRefusal(what, request) {
  const { error, status } = await request
  if (error && status >= 400 && status < 500) console.log(`  ${what}: ${status}, ${error.message}`)
  else fail(`${what}: ${status}, ${error?.message ?? 'not refused'}`)
}

function fail(message) {
  failures += 1
  console.log(`  WRONG: ${message}`)
}
