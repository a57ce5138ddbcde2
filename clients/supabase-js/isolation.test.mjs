// Two sign-ups are two tenants. Bob tries every operation of the client on Ann's rows; none may return any of them,
// and afterwards all of her rows must be unchanged, read with the service key.
import { after, before, test } from 'node:test'
import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { startServer } from './server.mjs'
import { connect, connectService, signIn, signUp } from './person.mjs'

const TABLES = ['todos', 'lists', 'notes', 'comments']
let server, service, ann, bob

before(async () => {
  server = await startServer()
  service = connectService(server)
  ann = await signUp(server)
  bob = await signUp(server)
  ann.rows = await fill(ann.client)
  bob.rows = await fill(bob.client)
})
after(() => server?.stop())

/** One row in every table, each pointing at its parent. */
async function fill(client) {
  const make = async (table, row) => (await client.from(table).insert(row).select().single().throwOnError()).data
  const lists = await make('lists', { name: 'Home' })
  const todos = await make('todos', { title: 'secret', list_id: lists.id, priority: 'high' })
  const notes = await make('notes', { body: 'secret', tags: ['x'], rank: 1 })
  const comments = await make('comments', { note_id: notes.id, body: 'secret' })
  return { lists, todos, notes, comments }
}

/** Everything that a tenant has. */
async function snapshot(tenant) {
  const all = TABLES.map(async (table) => {
    const { data } = await service.from(table).select().eq('tenant_id', tenant).order('id').throwOnError()
    return [table, data]
  })
  return Object.fromEntries(await Promise.all(all))
}

/** Text column, in every table, that an attack may try to write. */
const TEXT = { todos: 'title', lists: 'name', notes: 'body', comments: 'body' }

/** Every way to reach a known row of another tenant that needs no write to an own one. */
function attacks(client, table, row) {
  const at = () => client.from(table)
  const change = { [TEXT[table]]: 'stolen' }
  const theirs = { ...change, tenant_id: row.tenant_id }
  return {
    'select all': at().select(),
    'select by id': at().select().eq('id', row.id),
    'select by id in a list': at().select().in('id', [row.id]),
    'select by tenant': at().select().eq('tenant_id', row.tenant_id),
    'select by or': at().select().or(`id.eq.${row.id},tenant_id.eq.${row.tenant_id}`),
    'select one': at().select().eq('id', row.id).single(),
    'select maybe one': at().select().eq('id', row.id).maybeSingle(),
    'count': at().select('*', { count: 'exact', head: true }).eq('id', row.id),
    'update': at().update(change).eq('id', row.id).select(),
    'update unseen': at().update(change).eq('id', row.id),
    'update the whole tenant': at().update(change).eq('tenant_id', row.tenant_id).select(),
    'take over': at().update({ tenant_id: randomUUID() }).eq('id', row.id).select(),
    'delete': at().delete().eq('id', row.id).select(),
    'delete unseen': at().delete().eq('tenant_id', row.tenant_id),
    'insert into the tenant': at().insert({ ...parents(table, row), ...theirs }).select(),
    'insert unseen': at().insert([{ ...parents(table, row), ...theirs }]),
    'upsert over the id': at().upsert({ ...parents(table, row), ...change, id: row.id }).select(),
    'upsert over the whole row': at().upsert({ ...row, ...change }).select(),
    'upsert ignoring': at().upsert({ ...parents(table, row), ...change, id: row.id }, { ignoreDuplicates: true }).select(),
  }
}

function parents(table, row) {
  return table === 'comments' ? { note_id: row.note_id } : {}
}

/** The rows that an answer holds, whatever its shape. */
function rowsOf(answer) {
  return answer.data === null ? [] : [answer.data].flat()
}

async function assertHarmless(client, own) {
  const before = await snapshot(ann.tenant)
  for (const table of TABLES) {
    for (const [name, attack] of Object.entries(attacks(client, table, ann.rows[table]))) {
      const answer = await attack
      const what = `${name} on ${table}: ${answer.status} ${JSON.stringify(answer.error ?? answer.data)}`
      assert.ok(answer.status < 500 && answer.status !== 0, what)
      assert.ok(rowsOf(answer).every((row) => row.tenant_id === own), what)
      assert.ok(!answer.count, what)
    }
  }
  assert.deepEqual(await snapshot(ann.tenant), before)
}

test('both see exactly their own rows', async () => {
  for (const person of [ann, bob]) {
    for (const table of TABLES) {
      const { data } = await person.client.from(table).select().throwOnError()
      assert.deepEqual(data, [person.rows[table]])
    }
  }
})

test('another tenant reaches nothing by any verb on any table', async () => {
  await assertHarmless(bob.client, bob.tenant)
})

test('anon reaches nothing by any verb on any table', async () => {
  await assertHarmless(connect(server), undefined)
})

test('a token that was signed out a moment ago reaches nothing', async () => {
  const { client, session } = await signIn(server, bob)
  const copy = connect(server, { token: session.access_token })
  assert.equal((await copy.from('todos').select().throwOnError()).data.length, 1)
  await client.auth.signOut({ scope: 'local' })
  const { status, data } = await copy.from('todos').select()
  assert.equal(status, 401)
  assert.equal(data, null)
  await assertHarmless(copy, undefined)
})

test('own rows cannot be moved into another tenant', async () => {
  const before = await snapshot(ann.tenant)
  for (const table of TABLES) {
    const mine = bob.client.from(table).update({ tenant_id: ann.tenant }).eq('id', bob.rows[table].id)
    const { status, error } = await mine
    assert.equal(status, 403, `${table}: ${JSON.stringify(error)}`)
    assert.equal(error.code, '42501')
  }
  assert.deepEqual(await snapshot(ann.tenant), before)
})

test('a foreign parent is refused on insert, update and upsert', async () => {
  const { client } = bob
  const tries = {
    'todo on a foreign list': client.from('todos').insert({ title: 'spy', list_id: ann.rows.lists.id }),
    'own todo to a foreign list': client.from('todos').update({ list_id: ann.rows.lists.id }).eq('id', bob.rows.todos.id),
    'comment on a foreign note': client.from('comments').insert({ body: 'spy', note_id: ann.rows.notes.id }),
    'own comment to a foreign note': client.from('comments').upsert({ ...bob.rows.comments, note_id: ann.rows.notes.id }),
  }
  const before = await snapshot(bob.tenant)
  for (const [name, attempt] of Object.entries(tries)) {
    const { status, error } = await attempt
    assert.ok(error && status >= 400 && status < 500, `${name}: ${status} ${JSON.stringify(error)}`)
  }
  assert.deepEqual(await snapshot(bob.tenant), before)
})

test('a refused foreign parent looks like one that does not exist', async () => {
  const attempt = (note_id) => bob.client.from('comments').insert({ body: 'spy', note_id })
  const [foreign, absent] = [await attempt(ann.rows.notes.id), await attempt(randomUUID())]
  assert.deepEqual([foreign.status, foreign.error.code], [absent.status, absent.error.code])
})

test('functions see what their caller sees', async () => {
  const before = await snapshot(ann.tenant)
  const { data: found } = await bob.client.rpc('notes_like', { term: 'secret' }).throwOnError()
  assert.deepEqual(found, [bob.rows.notes])
  const { data: progress } = await bob.client.rpc('todo_progress').throwOnError()
  assert.deepEqual(progress, [{ done: 0, total: 1 }])
  const { data: renamed } = await bob.client.rpc('rename_note', { note: ann.rows.notes.id, new_body: 'stolen' }).throwOnError()
  assert.equal(renamed, 0)
  assert.deepEqual(await snapshot(ann.tenant), before)
})

test('a session cannot be switched to a tenant that its user is no member of', async () => {
  const { session } = await signIn(server, bob)
  const response = await fetch(`${server.url}/auth/v1/tenant`, {
    method: 'POST',
    headers: { Authorization: `Bearer ${session.access_token}`, 'Content-Type': 'application/json' },
    body: JSON.stringify({ tenant_id: ann.tenant }),
  })
  assert.ok(response.status >= 400 && response.status < 500, `${response.status}`)
})

test('forged tenants in headers, metadata and query reach nothing', async () => {
  const { client } = await signIn(server, bob)
  await client.auth.updateUser({ data: { tenant_id: ann.tenant, org_id: ann.claims.org_id } })
  await client.auth.refreshSession()
  const { data } = await client.from('todos').select().throwOnError()
  assert.deepEqual(data, [bob.rows.todos])
  const headers = { Authorization: `Bearer ${bob.session.access_token}`, 'x-tenant-id': ann.tenant, 'x-organization-id': ann.claims.org_id }
  const response = await fetch(`${server.url}/rest/v1/todos?select=tenant_id`, { headers })
  assert.deepEqual(await response.json(), [{ tenant_id: bob.tenant }])
})
