// Modifiers through supabase-js: counts, formats, plans, transactions, limits, schemas, and the ways to call a
// function.
import { after, before, beforeEach, describe, test } from 'node:test'
import assert from 'node:assert/strict'
import { assertRefused, rows } from './answer.mjs'
import { speaker, startTalkServer } from './talk.mjs'

let server, client
before(async () => (server = await startTalkServer()))
beforeEach(async () => (client = (await speaker(server)).client))
after(() => server?.stop())

const titles = async () => (await rows(client.from('talks').select('title').order('id'))).map(({ title }) => title).join(' ')

describe('counts', () => {
  test('may be exact, planned or estimated', async () => {
    for (const count of ['exact', 'planned', 'estimated']) {
      const answer = await client.from('talks').select('title', { count })
      assert.equal(answer.error, null)
      assert.ok(Number.isInteger(answer.count), `${count}: ${answer.count}`)
      if (count !== 'planned') assert.equal(answer.count, 3, count)
    }
  })

  test('come with writes', async () => {
    const made = await client.from('notes').insert([{ body: 'x' }, { body: 'y' }], { count: 'exact' })
    assert.deepEqual([made.status, made.count], [201, 2])
    const changed = await client.from('notes').update({ rank: 7 }, { count: 'exact' }).in('body', ['x', 'y'])
    assert.deepEqual([changed.status, changed.count], [204, 2])
    const merged = await client.from('notes').upsert([{ body: 'z' }], { count: 'exact' })
    assert.equal(merged.count, 1)
    const gone = await client.from('notes').delete({ count: 'exact' }).in('body', ['x', 'y', 'z'])
    assert.deepEqual([gone.status, gone.count], [204, 3])
  })

  test('are returned with the last page, and a page beyond the end is refused', async () => {
    const page = await client.from('talks').select('title', { count: 'exact' }).order('id').range(2, 9)
    assert.deepEqual([page.status, page.count, page.data.length], [206, 3, 1])
    await assertRefused(client.from('talks').select('title', { count: 'exact' }).range(5, 9), 416, 'PGRST103')
  })
})

describe('formats', () => {
  test('CSV', async () => {
    const text = await rows(client.from('talks').select('title, "spoken in"').order('id').csv())
    assert.equal(text, 'title,spoken in\nOpening,"English, mostly"\nRats,Deutsch\nClosing,')
  })

  test('JSON without nulls', async () => {
    const found = await rows(client.from('talks').select('title, "spoken in"').eq('title', 'Closing').stripNulls())
    assert.deepEqual(found, [{ title: 'Closing' }])
    assert.deepEqual(await rows(client.from('talks').select('title, "spoken in"').eq('title', 'Closing').stripNulls().single()), { title: 'Closing' })
  })

  test('GeoJSON only where the database has PostGIS', async () => {
    await assertRefused(client.from('talks').select('title').geojson(), 406, 'PGRST107')
  })

  test('plans as text and as JSON, without running a write', async () => {
    const text = await rows(client.from('talks').select('title').explain())
    assert.match(text, /Aggregate.*cost=/)
    const [{ Plan, ...more }] = await rows(client.from('talks').select('title').explain({ format: 'json', analyze: true, verbose: true, settings: true, buffers: true }))
    assert.ok(Plan['Actual Rows'] >= 0 && 'Execution Time' in more)
    await rows(client.from('talks').delete().eq('title', 'Rats').explain())
    assert.equal(await titles(), 'Opening Rats Closing')
  })
})

describe('transactions', () => {
  test('are rolled back on request, with the same response', async () => {
    const made = await rows(client.from('notes').insert({ body: 'gone' }).select('body').rollback())
    assert.deepEqual(made, [{ body: 'gone' }])
    await rows(client.from('talks').delete().eq('title', 'Rats').rollback())
    assert.deepEqual(await rows(client.from('notes').select('body').eq('body', 'gone')), [])
    assert.equal(await titles(), 'Opening Rats Closing')
  })

  test('that touch more rows than allowed change nothing', async () => {
    await assertRefused(client.from('talks').delete().like('title', '%ing').maxAffected(1), 400, 'PGRST124')
    await assertRefused(client.from('talks').update({ abstract: '' }).neq('title', '').maxAffected(2), 400, 'PGRST124')
    await assertRefused(client.rpc('delete_talks', { pattern: '%ing' }).maxAffected(1), 400, 'PGRST124')
    assert.equal(await titles(), 'Opening Rats Closing')
    await rows(client.from('talks').delete().like('title', '%ing').maxAffected(2))
    assert.equal(await titles(), 'Rats')
  })

  test('of a write that must be one row fail as a whole', async () => {
    await assertRefused(client.from('talks').update({ abstract: 'x' }).neq('title', '').select().single(), 406, 'PGRST116')
    assert.deepEqual(await rows(client.from('talks').select('title').eq('abstract', 'x')), [])
  })
})

describe('limits', () => {
  test('no response has more rows than the server allows', async () => {
    await rows(client.from('notes').insert(Array.from({ length: 60 }, (_, at) => ({ body: `n${at}` }))))
    const all = await client.from('notes').select('body', { count: 'exact' })
    assert.deepEqual([all.status, all.data.length, all.count], [206, 50, 62])
    assert.equal((await rows(client.from('notes').select('body').limit(55))).length, 50)
    assert.deepEqual(await rows(client.from('notes').select('body').limit(0)), [])
  })

  test('an aborted request ends at once', async () => {
    const leave = new AbortController()
    const asked = client.rpc('doze').abortSignal(leave.signal)
    const answer = asked.then((given) => given)
    setImmediate(() => leave.abort())
    const { error, status } = await answer
    assert.match(error.message, /AbortError/)
    assert.equal(status, 0)
  })

  test('errors are thrown on request', async () => {
    await assert.rejects(async () => client.from('talks').select('none').throwOnError(), { name: 'PostgrestError', code: '42703' })
  })
})

describe('schemas', () => {
  test('that are served are reached by name', async () => {
    const reports = client.schema('reports')
    assert.deepEqual(await rows(reports.from('talks').select().order('title')), [
      { title: 'Closing', minutes: '[40,45)' },
      { title: 'Opening', minutes: '[0,10)' },
      { title: 'Rats', minutes: '[10,40)' },
    ])
    assert.equal(await rows(reports.rpc('count_talks')), 3)
    assert.equal(await rows(reports.rpc('count_talks', {}, { get: true })), 3)
  })

  test('that are not served are refused, and tables are found in the requested one only', async () => {
    await assertRefused(client.schema('auth').from('users').select(), 406, 'PGRST106')
    await assertRefused(client.schema('auth').from('users').insert({}), 406, 'PGRST106')
    await assertRefused(client.schema('reports').from('notes').select(), 404, 'PGRST205')
    await assertRefused(client.rpc('count_talks'), 404, 'PGRST202')
    await assertRefused(client.schema('reports').from('talks').insert({ title: 'x' }), 403, '42501')
  })
})

describe('functions', () => {
  test('are called with GET and HEAD', async () => {
    assert.equal(await rows(client.rpc('total', { numbers: [1, 2, 3] }, { get: true })), 6)
    assert.equal(await rows(client.rpc('total', { numbers: [1, 2, 3] })), 6)
    const head = await client.rpc('notes_like', { term: 's' }, { head: true, count: 'exact' })
    assert.deepEqual([head.status, head.data, head.count], [200, null, 2])
    await assertRefused(client.rpc('delete_talks', { pattern: '%' }, { get: true }), 405, '25006')
    assert.equal(await titles(), 'Opening Rats Closing')
  })

  test('return rows that are filtered, ordered, paged, counted and embedded', async () => {
    const found = await client.rpc('notes_like', { term: 's' }, { count: 'exact' }).select('body, comments(count)').gte('rank', 1).order('rank', { ascending: false }).range(0, 0)
    assert.deepEqual([found.status, found.count, found.data], [206, 2, [{ body: 'second', comments: [{ count: 0 }] }]])
    assert.deepEqual(await rows(client.rpc('notes_like', { term: 'sec' }).select('body').single()), { body: 'second' })
    assert.equal(await rows(client.rpc('notes_like', { term: 'none' }).maybeSingle()), null)
    assert.equal(await rows(client.rpc('notes_like', { term: 'sec' }).select('body').csv()), 'body\nsecond')
  })

  test('return one row as an object', async () => {
    assert.deepEqual(await rows(client.rpc('shortest_talk').select('title, minutes')), { title: 'Closing', minutes: '[40,45)' })
  })

  test('are rolled back when asked', async () => {
    assert.equal((await rows(client.rpc('delete_talks', { pattern: '%' }).rollback())).length, 3)
    assert.equal(await titles(), 'Opening Rats Closing')
  })
})
