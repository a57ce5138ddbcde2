// The data API's rarer filters through supabase-js: ranges, documents, patterns, quoting, and filters on embeds.
import { after, before, describe, test } from 'node:test'
import assert from 'node:assert/strict'
import { assertRefused, rows } from './answer.mjs'
import { speaker, startTalkServer } from './talk.mjs'

let server, client
before(async () => {
  server = await startTalkServer()
  client = (await speaker(server)).client
})
after(() => server?.stop())

/** The titles that pass the filter, in order. */
async function titles(filter) {
  const found = await rows(filter(client.from('talks').select('title')).order('id'))
  return found.map(({ title }) => title).join(' ')
}

async function assertTitles(cases) {
  for (const [expected, filter] of cases) assert.equal(await titles(filter), expected, filter.toString())
}

describe('filters', () => {
  test('compare ranges', () =>
    assertTitles([
      ['Opening', (q) => q.rangeLt('minutes', '[10,12)')],
      ['Rats Closing', (q) => q.rangeGt('minutes', '[0,10)')],
      ['Rats Closing', (q) => q.rangeGte('minutes', '[10,12)')],
      ['Opening Rats', (q) => q.rangeLte('minutes', '[10,40)')],
      ['Rats', (q) => q.rangeAdjacent('minutes', '[0,10)')],
      ['Opening Rats', (q) => q.overlaps('minutes', '[5,15)')],
      ['Rats', (q) => q.contains('minutes', '[20,21)')],
      ['Opening', (q) => q.containedBy('minutes', '[0,15)')],
    ]))

  test('search documents and plain text', () =>
    assertTitles([
      ['Opening Rats', (q) => q.textSearch('document', 'fat', { config: 'english' })],
      ['Opening', (q) => q.textSearch('document', "'fat' & 'cat'")],
      ['Rats', (q) => q.textSearch('document', 'rat dance', { type: 'plain', config: 'english' })],
      ['Rats', (q) => q.textSearch('document', 'fat rats', { type: 'phrase', config: 'english' })],
      ['Opening', (q) => q.textSearch('document', 'fat -rats', { type: 'websearch', config: 'english' })],
      ['Closing', (q) => q.textSearch('abstract', 'goodbye', { config: 'english' })],
      ['Closing', (q) => q.not('document', 'fts(english)', 'fat')],
    ]))

  test('match patterns and expressions', () =>
    assertTitles([
      ['Opening', (q) => q.likeAllOf('title', ['O%', '%ing'])],
      ['Opening Closing', (q) => q.ilikeAnyOf('title', ['%PEN%', 'clos%'])],
      ['Closing', (q) => q.ilikeAllOf('title', ['%ING', 'c%'])],
      ['Opening Closing', (q) => q.regexMatch('title', 'ing$')],
      ['Rats', (q) => q.regexIMatch('title', '^r')],
      ['', (q) => q.regexMatch('title', '^r')],
      ['Rats', (q) => q.not('title', 'like', '%ing')],
    ]))

  test('distinguish null from a value', () =>
    assertTitles([
      ['Opening Closing', (q) => q.isDistinct('spoken in', 'Deutsch')],
      ['Opening', (q) => q.neq('spoken in', 'Deutsch')],
      ['Opening', (q) => q.notIn('spoken in', ['Deutsch', 'Español'])],
      ['Opening', (q) => q.notIn('title', ['Rats', 'Closing'])],
    ]))

  test('quote names and values with special characters', () =>
    assertTitles([
      ['Opening', (q) => q.eq('spoken in', 'English, mostly')],
      ['Opening Rats', (q) => q.in('spoken in', ['English, mostly', 'Deutsch'])],
      ['Opening', (q) => q.or('"spoken in".eq."English, mostly",title.eq."(none)"')],
      ['', (q) => q.eq('title', `x' or '1'='1`)],
      ['', (q) => q.in('title', ['a"b', 'c\\d', 'e),(f'])],
    ]))

  test('nest and negate in logic trees', () =>
    assertTitles([
      ['Rats Closing', (q) => q.or('title.eq.Rats,and(minutes.ov."[40,41)",title.like.C*)')],
      ['Opening', (q) => q.or('title.eq.Opening,title.eq.Rats').or('title.neq.Rats,minutes.is.null')],
      ['Closing', (q) => q.or('not.and(minutes.cd."[0,40)",title.neq.Closing)')],
    ]))

  test('work on a computed column', async () => {
    assert.equal(await titles((q) => q.gte('length_of', 10)), 'Opening Rats')
    assert.deepEqual(await rows(client.from('talks').select('title, length_of').eq('title', 'Rats').single()), { title: 'Rats', length_of: 30 })
  })

  test('that are not well-formed are refused', async () => {
    const talks = () => client.from('talks').select('title')
    await assertRefused(talks().or('title.eq'), 400, 'PGRST100')
    await assertRefused(talks().filter('minutes', 'cs', '[3,1)'), 400, '22000')
    await assertRefused(talks().textSearch('document', 'a & & b'), 400, '42601')
    await assertRefused(talks().textSearch('document', 'a', { config: 'klingon' }), 400, '42704')
    await assertRefused(talks().regexMatch('title', '('), 400, '2201B')
    await assertRefused(talks().rangeLt('title', '[1,2)'), 404, '42883')
  })
})
