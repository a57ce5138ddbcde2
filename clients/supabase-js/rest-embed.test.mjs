// Embedding through supabase-js: directions, hints, joins, spreads, aggregates, and modifiers on embeds.
import { after, before, describe, test } from 'node:test'
import assert from 'node:assert/strict'
import { assertRefused, rows } from './answer.mjs'
import { signUp } from './person.mjs'
import { speaker, startTalkServer } from './talk.mjs'

let server, client
before(async () => {
  server = await startTalkServer()
  client = (await speaker(server)).client
})
after(() => server?.stop())

const note = (columns) => client.from('notes').select(columns).eq('body', 'first').single()

describe('embeds', () => {
  test('reach children and parents', async () => {
    const found = await rows(note('body, comments(body)').order('body', { referencedTable: 'comments' }))
    assert.deepEqual(found, { body: 'first', comments: [{ body: 'a' }, { body: 'b' }, { body: 'c' }] })
    const up = await rows(client.from('comments').select('body, parent:notes(body, rank)').eq('body', 'a').single())
    assert.deepEqual(up, { body: 'a', parent: { body: 'first', rank: 1 } })
  })

  test('with two ways need a hint, which may be a key or a column', async () => {
    const error = await assertRefused(client.from('talks').select('title, notes(body)'), 300, 'PGRST201')
    assert.match(error.hint, /notes!talks_note_id_fkey/)
    const hinted = 'title, about:notes!note_id(body), also:notes!talks_second_note_id_fkey(body)'
    const found = await rows(client.from('talks').select(hinted).order('id'))
    assert.deepEqual(found, [
      { title: 'Opening', about: { body: 'first' }, also: { body: 'second' } },
      { title: 'Rats', about: { body: 'first' }, also: null },
      { title: 'Closing', about: null, also: null },
    ])
  })

  test('with the same name are refused', async () => {
    await assertRefused(client.from('talks').select('notes!note_id(body), notes!second_note_id(body)'), 400, '42712')
  })

  test('can be required, or required to be empty', async () => {
    const titles = async (request) => (await rows(request.order('id'))).map(({ title }) => title)
    assert.deepEqual(await titles(client.from('talks').select('title, notes!talks_note_id_fkey!inner(body)')), ['Opening', 'Rats'])
    const about = () => client.from('talks').select('title, about:notes!note_id()')
    assert.deepEqual(await rows(about().is('about', null)), [{ title: 'Closing' }])
    assert.deepEqual(await titles(about().not('about', 'is', null)), ['Opening', 'Rats'])
  })

  test('are filtered, ordered and limited by themselves', async () => {
    const few = note('body, comments(body)').order('body', { referencedTable: 'comments', ascending: false }).limit(2, { referencedTable: 'comments' })
    assert.deepEqual((await rows(few)).comments, [{ body: 'c' }, { body: 'b' }])
    const middle = note('comments(body)').order('body', { referencedTable: 'comments' }).range(1, 1, { referencedTable: 'comments' })
    assert.deepEqual((await rows(middle)).comments, [{ body: 'b' }])
    const some = note('comments(body)').or('body.eq.a,body.eq.c', { referencedTable: 'comments' }).order('body', { referencedTable: 'comments' })
    assert.deepEqual((await rows(some)).comments, [{ body: 'a' }, { body: 'c' }])
    assert.deepEqual((await rows(note('comments(body)').eq('comments.body', 'none'))).comments, [])
    assert.deepEqual(await rows(client.from('notes').select('body, comments!inner(body)').eq('comments.body', 'none')), [])
  })

  test('order their parents', async () => {
    const by = client.from('talks').select('title, also:notes!second_note_id(rank)').order('also(rank)', { nullsFirst: true }).order('id')
    assert.deepEqual((await rows(by)).map(({ title }) => title), ['Rats', 'Closing', 'Opening'])
  })

  test('go several levels deep', async () => {
    const found = await rows(client.from('talks').select('title, notes!note_id(body, comments(body, notes(rank)))').eq('title', 'Rats').single())
    assert.equal(found.notes.comments.length, 3)
    assert.deepEqual(found.notes.comments[0].notes, { rank: 1 })
  })

  test('are spread into their parents', async () => {
    const one = await rows(client.from('talks').select('title, ...notes!note_id(about:body, rank)').eq('title', 'Rats').single())
    assert.deepEqual(one, { title: 'Rats', about: 'first', rank: 1 })
    const many = await rows(note('body, ...comments(said:body)').order('body', { referencedTable: 'comments' }))
    assert.deepEqual(many, { body: 'first', said: ['a', 'b', 'c'] })
  })

  test('work on written rows', async () => {
    const { client } = await signUp(server)
    const made = await rows(client.from('lists').insert({ name: 'Home' }).select('id').single())
    const todo = await rows(client.from('todos').insert({ title: 'sweep', list_id: made.id, priority: 'high' }).select('title, lists(name), priorities(rank)').single())
    assert.deepEqual(todo, { title: 'sweep', lists: { name: 'Home' }, priorities: { rank: 30 } })
    const changed = await rows(client.from('todos').update({ priority: 'low' }).eq('title', 'sweep').select('priorities(rank)'))
    assert.deepEqual(changed, [{ priorities: { rank: 10 } }])
    assert.deepEqual(await rows(client.from('todos').delete().eq('title', 'sweep').select('lists(name)')), [{ lists: { name: 'Home' } }])
  })

  test('without a relation are refused', async () => {
    await assertRefused(client.from('notes').select('priorities(*)'), 400, 'PGRST200')
    await assertRefused(client.from('notes').select('comments!rank(*)'), 400, 'PGRST200')
    await assertRefused(client.from('notes').select('body').eq('comments.body', 'a'), 400, 'PGRST108')
    await assertRefused(client.from('notes').select('body, comments(body)').order('comments(body)'), 400, 'PGRST118')
  })
})

describe('aggregates', () => {
  test('count, sum and group', async () => {
    assert.deepEqual(await rows(client.from('notes').select('count(), sum:rank.sum(), top:rank.max(), low:rank.min(), mean:rank.avg()::float8').single()), { count: 2, sum: 3, top: 2, low: 1, mean: 1.5 })
    const grouped = await rows(client.from('comments').select('note_id, n:body.count()'))
    assert.deepEqual(grouped.map(({ n }) => n), [3])
  })

  test('count what is embedded', async () => {
    assert.deepEqual(await rows(note('body, comments(count)')), { body: 'first', comments: [{ count: 3 }] })
  })
})
