// The example's demo, run as the README says, against a project of its own.
import { after, before, test } from 'node:test'
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { startServer } from './server.mjs'

const demo = join(import.meta.dirname, '..', '..', 'examples', 'todos', 'demo.mjs')
let server
before(async () => (server = await startServer()))
after(() => server?.stop())

/** Runs the demo; `code` is its exit code. */
function run(dir) {
  return new Promise((resolve) => {
    execFile(process.execPath, [demo, dir], (error, stdout, stderr) => resolve({ code: error?.code ?? 0, stdout, stderr }))
  })
}

test('the demo shows that two tenants are isolated', async () => {
  const { code, stdout, stderr } = await run(server.dir)
  assert.equal(code, 0, stdout + stderr)
  assert.match(stdout, /The two tenants are isolated\.\n$/)
  assert.doesNotMatch(stdout, /WRONG/)
})

test('the demo says what to do when nothing is running', async () => {
  const { code, stderr } = await run(join(server.dir, 'migrations'))
  assert.equal(code, 2)
  assert.match(stderr, /Start the project with \.\/run/)
})
