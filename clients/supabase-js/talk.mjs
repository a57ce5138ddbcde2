// A server with all optional features of the data API on, and a user with talks, which have columns of less common types.
import { startServer } from './server.mjs'
import { signUp } from './person.mjs'
import { rows } from './answer.mjs'

const SETTINGS = `[rest]
schemas = ["public", "reports"]
aggregates = true
plan_enabled = true
tx_end = "commit-allow-override"
max_rows = 50
`

export function startTalkServer() {
  return startServer(SETTINGS)
}

/** A user with three talks: the first two about one note, the first also about another. */
export async function speaker(server) {
  const person = await signUp(server)
  const { client } = person
  const [first, second] = await rows(client.from('notes').insert([{ body: 'first', rank: 1 }, { body: 'second', rank: 2 }]).select())
  await rows(client.from('comments').insert(['a', 'b', 'c'].map((body) => ({ note_id: first.id, body }))))
  await rows(
    client.from('talks').insert([
      { title: 'Opening', minutes: '[0,10)', abstract: 'Welcome to the fat cats', 'spoken in': 'English, mostly', note_id: first.id, second_note_id: second.id },
      { title: 'Rats', minutes: '[10,40)', abstract: 'Fat rats and how they dance', 'spoken in': 'Deutsch', note_id: first.id, second_note_id: null },
      { title: 'Closing', minutes: '[40,45)', abstract: 'Goodbye', 'spoken in': null, note_id: null, second_note_id: null },
    ]),
  )
  return { ...person, first, second }
}
