// The data API through postgrest-js, as a signed-in user of one tenant.
import { after, before, describe, test } from 'node:test'
import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { startServer } from './server.mjs'
import { connect, connectService, signUp } from './person.mjs'
import { assertRefused, rows } from './answer.mjs'

let server
before(async () => (server = await startServer()))
after(() => server?.stop())

/** A user with the notes that most reads are about. */
async function annWithNotes() {
  const ann = await signUp(server)
  const notes = [
    { body: 'alpha', rank: 1, tags: ['red', 'blue'], meta: { level: 1 } },
    { body: 'beta', rank: 2, tags: ['blue'], meta: { level: 2 } },
    { body: 'gamma', rank: 3, tags: [], meta: null },
    { body: 'delta', rank: null, tags: ['green'], meta: { level: 4, deep: { x: 'y' } } },
  ]
  await rows(ann.client.from('notes').insert(notes))
  return ann
}

describe('insert', () => {
  test('returns nothing unless asked, and then the row with its tenant', async () => {
    const { client, tenant } = await signUp(server)
    const quiet = await client.from('todos').insert({ title: 'quiet' })
    assert.deepEqual([quiet.status, quiet.data, quiet.error], [201, null, null])
    const { data, status } = await client.from('todos').insert({ title: 'loud' }).select().single()
    assert.equal(status, 201)
    assert.equal(data.title, 'loud')
    assert.equal(data.done, false)
    assert.equal(data.tenant_id, tenant)
  })

  test('takes many rows with different keys', async () => {
    const { client } = await signUp(server)
    const made = await rows(client.from('notes').insert([{ body: 'a', rank: 1 }, { body: 'b', tags: ['x'] }], { defaultToNull: false }).select())
    assert.deepEqual(made.map(({ body, rank, tags }) => ({ body, rank, tags })), [
      { body: 'a', rank: 1, tags: [] },
      { body: 'b', rank: null, tags: ['x'] },
    ])
  })

  test('of no rows succeeds', async () => {
    const { client } = await signUp(server)
    assert.deepEqual(await rows(client.from('notes').insert([]).select()), [])
  })

  test('reports what the database refused', async () => {
    const { client } = await signUp(server)
    const check = await assertRefused(client.from('todos').insert({ title: '' }), 400, '23514')
    assert.match(check.message, /todos_title_check/)
    await assertRefused(client.from('todos').insert({}), 400, '23502')
    await assertRefused(client.from('todos').insert({ title: 'x', colour: 'red' }), 400, 'PGRST204')
    await assertRefused(client.from('todos').insert({ title: 'x', priority: 'none such' }), 409, '23503')
    await assertRefused(client.from('notes').insert({ body: 'x', rank: 'many' }), 400, '22P02')
  })
})

describe('select', () => {
  test('filters by every plain operator', async () => {
    const { client } = await annWithNotes()
    const bodies = async (filter) => (await rows(filter(client.from('notes').select('body')).order('body'))).map(({ body }) => body).join(' ')
    const cases = [
      ['beta', (q) => q.eq('rank', 2)],
      ['alpha gamma', (q) => q.neq('rank', 2)],
      ['gamma', (q) => q.gt('rank', 2)],
      ['beta gamma', (q) => q.gte('rank', 2)],
      ['alpha', (q) => q.lt('rank', 2)],
      ['alpha beta', (q) => q.lte('rank', 2)],
      ['alpha', (q) => q.like('body', 'al%')],
      ['alpha', (q) => q.ilike('body', 'AL%')],
      ['beta', (q) => q.likeAnyOf('body', ['b%', 'x%'])],
      ['delta', (q) => q.is('rank', null)],
      ['alpha beta gamma', (q) => q.not('rank', 'is', null)],
      ['alpha gamma', (q) => q.in('body', ['alpha', 'gamma', 'omega'])],
      ['', (q) => q.in('body', [])],
      ['beta', (q) => q.match({ body: 'beta', rank: 2 })],
      ['alpha delta', (q) => q.or('rank.eq.1,and(rank.is.null,body.eq.delta)')],
      ['alpha beta', (q) => q.contains('tags', ['blue'])],
      ['beta gamma', (q) => q.containedBy('tags', ['blue'])],
      ['alpha delta', (q) => q.overlaps('tags', ['red', 'green'])],
      ['delta', (q) => q.contains('meta', { deep: { x: 'y' } })],
      ['beta', (q) => q.eq('meta->level', 2)],
      ['delta', (q) => q.filter('meta->deep->>x', 'eq', 'y')],
      ['gamma', (q) => q.filter('body', 'match', '^g')],
    ]
    for (const [expected, filter] of cases) assert.equal(await bodies(filter), expected, filter.toString())
  })

  test('picks, renames, casts and reaches into columns', async () => {
    const { client } = await annWithNotes()
    const note = await rows(client.from('notes').select('title:body, rank::text, x:meta->deep->>x').eq('body', 'delta').single())
    assert.deepEqual(note, { title: 'delta', rank: null, x: 'y' })
  })

  test('orders, limits and ranges', async () => {
    const { client } = await annWithNotes()
    const ranks = async (request) => (await rows(request)).map(({ rank }) => rank)
    const notes = () => client.from('notes').select('rank')
    assert.deepEqual(await ranks(notes().order('rank', { ascending: false, nullsFirst: false })), [3, 2, 1, null])
    assert.deepEqual(await ranks(notes().order('rank', { nullsFirst: true }).limit(2)), [null, 1])
    assert.deepEqual(await ranks(notes().order('rank').range(1, 2)), [2, 3])
  })

  test('counts what the caller can see', async () => {
    const { client } = await annWithNotes()
    await annWithNotes()
    const page = await client.from('notes').select('body', { count: 'exact' }).order('body').range(0, 1)
    assert.deepEqual([page.status, page.count, page.data.length], [206, 4, 2])
    const head = await client.from('notes').select('*', { count: 'exact', head: true })
    assert.deepEqual([head.status, head.count, head.data], [200, 4, null])
  })

  test('requires exactly one row for single, and at most one for maybeSingle', async () => {
    const { client } = await annWithNotes()
    const notes = () => client.from('notes').select('body')
    assert.deepEqual(await rows(notes().eq('body', 'alpha').single()), { body: 'alpha' })
    await assertRefused(notes().single(), 406, 'PGRST116')
    await assertRefused(notes().eq('body', 'omega').single(), 406, 'PGRST116')
    assert.equal(await rows(notes().eq('body', 'omega').maybeSingle()), null)
    assert.deepEqual(await rows(notes().eq('body', 'alpha').maybeSingle()), { body: 'alpha' })
  })

  test('of what does not exist is refused by name', async () => {
    const { client } = await signUp(server)
    const table = await assertRefused(client.from('todoes').select(), 404, 'PGRST205')
    assert.match(table.message, /public\.todoes/)
    await assertRefused(client.from('todos').select('titel'), 400, '42703')
    await assertRefused(client.from('todos').select().eq('titel', 'x'), 400, '42703')
    await assertRefused(client.from('todos').select().filter('title', 'resembles', 'x'), 400, 'PGRST100')
  })
})

describe('update and delete', () => {
  test('touch what the filter names', async () => {
    const { client } = await annWithNotes()
    const quiet = await client.from('notes').update({ rank: 9 }).eq('body', 'alpha')
    assert.deepEqual([quiet.status, quiet.data], [204, null])
    const changed = await rows(client.from('notes').update({ tags: ['late'] }).gte('rank', 3).select('body, tags').order('body'))
    assert.deepEqual(changed, [{ body: 'alpha', tags: ['late'] }, { body: 'gamma', tags: ['late'] }])
    const gone = await rows(client.from('notes').delete().eq('body', 'alpha').select('body'))
    assert.deepEqual(gone, [{ body: 'alpha' }])
    assert.equal((await client.from('notes').select('*', { count: 'exact', head: true })).count, 3)
  })

  test('of no rows succeed with an empty result', async () => {
    const { client } = await annWithNotes()
    assert.deepEqual(await rows(client.from('notes').update({ rank: 1 }).eq('body', 'omega').select()), [])
    assert.deepEqual(await rows(client.from('notes').delete().eq('id', randomUUID()).select()), [])
  })

  test('that violate a constraint change nothing', async () => {
    const { client } = await annWithNotes()
    await assertRefused(client.from('notes').update({ body: '' }).gte('rank', 0), 400, '23514')
    assert.equal((await rows(client.from('notes').select().eq('body', ''))).length, 0)
  })
})

describe('upsert', () => {
  test('inserts, then merges on the primary key', async () => {
    const { client } = await signUp(server)
    const id = randomUUID()
    const first = await client.from('notes').upsert({ id, body: 'first', rank: 1 }).select().single()
    assert.equal(first.status, 201)
    const second = await client.from('notes').upsert({ id, body: 'second' }).select().single()
    assert.equal(second.error, null)
    assert.deepEqual([second.data.body, second.data.rank], ['second', 1])
    assert.equal((await rows(client.from('notes').select())).length, 1)
  })

  test('can ignore duplicates', async () => {
    const { client } = await signUp(server)
    const id = randomUUID()
    await rows(client.from('notes').insert({ id, body: 'first' }))
    const ignored = await rows(client.from('notes').upsert({ id, body: 'second' }, { ignoreDuplicates: true }).select())
    assert.deepEqual(ignored, [])
    assert.equal((await rows(client.from('notes').select().eq('id', id).single())).body, 'first')
  })

  test('merges on another unique key', async () => {
    const { client, tenant } = await signUp(server)
    const lists = () => client.from('lists')
    const made = await rows(lists().insert({ name: 'Home' }).select().single())
    const merged = await rows(lists().upsert({ tenant_id: tenant, name: 'Home' }, { onConflict: 'tenant_id,name' }).select().single())
    assert.equal(merged.id, made.id)
    await assertRefused(lists().insert({ name: 'Home' }), 409, '23505')
  })
})

describe('rpc', () => {
  test('passes arguments and returns scalars and rows', async () => {
    const { client } = await annWithNotes()
    assert.equal(await rows(client.rpc('add', { a: 2, b: 40 })), 42)
    assert.equal(await rows(client.rpc('add', { a: 2, b: 40 }, { get: true })), 42)
    const found = await rows(client.rpc('notes_like', { term: 'TA' }).select('body').order('body'))
    assert.deepEqual(found, [{ body: 'beta' }, { body: 'delta' }])
    const progress = await rows(client.rpc('todo_progress'))
    assert.deepEqual(progress, [{ done: 0, total: 0 }])
  })

  test('may write', async () => {
    const { client } = await annWithNotes()
    const { id } = await rows(client.from('notes').select('id').eq('body', 'alpha').single())
    assert.equal(await rows(client.rpc('rename_note', { note: id, new_body: 'omega' })), 1)
    assert.equal((await rows(client.from('notes').select('body').eq('id', id).single())).body, 'omega')
  })

  test('returns the error that the function raised', async () => {
    const { client } = await signUp(server)
    const error = await assertRefused(client.rpc('refuse', { reason: 'not on Sundays' }), 400, 'P0001')
    assert.deepEqual([error.message, error.hint], ['not on Sundays', 'ask again'])
  })

  test('of what does not exist is refused by name', async () => {
    const { client } = await signUp(server)
    await assertRefused(client.rpc('subtract', { a: 1 }), 404, 'PGRST202')
    await assertRefused(client.rpc('add', { a: 1, c: 2 }), 404, 'PGRST202')
  })
})

describe('rights', () => {
  test('of the shared table: everybody reads, no tenant writes', async () => {
    const [ann, bob] = [await signUp(server), await signUp(server)]
    for (const { client } of [ann, bob]) {
      const shared = await rows(client.from('priorities').select('name').order('rank'))
      assert.deepEqual(shared.map(({ name }) => name), ['low', 'normal', 'high'])
      await assertRefused(client.from('priorities').insert({ name: 'urgent', rank: 40 }), 403, '42501')
    }
  })

  test('of anon: nothing that was not granted', async () => {
    for (const [table, key] of [['todos', 'id'], ['notes', 'id'], ['priorities', 'name']]) {
      await assertRefused(connect(server).from(table).select(), 401, '42501')
      await assertRefused(connect(server).from(table).delete().not(key, 'is', null), 401, '42501')
    }
  })

  test('of the service key: all tenants’ rows', async () => {
    const [ann, bob] = [await annWithNotes(), await annWithNotes()]
    const seen = await rows(connectService(server).from('notes').select('tenant_id').in('tenant_id', [ann.tenant, bob.tenant]))
    assert.equal(seen.length, 8)
  })

  test('of a token that does not verify: none', async () => {
    await assertRefused(connect(server, { token: 'not.a.token' }).from('todos').select(), 401, 'PGRST301')
  })
})
