// Assertions on postgrest-js's responses: success with rows, or refusal with a status and a code.
import assert from 'node:assert/strict'

/** The request must succeed; gives its rows. */
export async function rows(request) {
  const { data, error, status } = await request
  assert.equal(error, null, `${status} ${JSON.stringify(error)}`)
  return data
}

/** The request must be refused with this status and code. */
export async function assertRefused(request, status, code) {
  const answer = await request
  assert.ok(answer.error, `expected ${code}, got ${answer.status}`)
  assert.deepEqual({ status: answer.status, code: answer.error.code }, { status, code }, answer.error.message)
  return answer.error
}
