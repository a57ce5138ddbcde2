#!/usr/bin/env node
// Runs an unmodified upstream test suite against a Rowhouse of its own.
//
//     clients/upstream-js/run.mjs FOLDER [--verbose]
//
// FOLDER is the package postgrest-js, supabase-js or auth-js in a checkout of supabase-js, with its packages installed and those
// it depends on built. Nothing of it is part of this project. Exit 0 when every case passes but those listed in
// inapplicable.json, 1 when another fails or a listed one passes, 2 when the suite could not be run.
import { spawn } from 'node:child_process'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { startServer } from '../supabase-js/server.mjs'
import { SUITES, fill, settingsOf } from './fixtures.mjs'
import { judge, show } from './judge.mjs'

/** The suites have it in their sources. */
const PORT = 54321

async function main([folder, option]) {
  if (!folder || (option && option !== '--verbose')) throw new Error('usage: clients/upstream-js/run.mjs FOLDER [--verbose]')
  folder = resolve(folder)
  const { name } = JSON.parse(await readFile(join(folder, 'package.json'), 'utf8'))
  const suite = SUITES[name]
  if (!suite) throw new Error(`${folder} is ${name}; known are ${Object.keys(SUITES).join(' and ')}`)
  const listed = JSON.parse(await readFile(join(import.meta.dirname, 'inapplicable.json'), 'utf8'))[name]
  const server = await startServer(await settingsOf(suite, folder), { fill: (dir) => fill(suite, folder, dir), port: PORT })
  try {
    const verdict = judge(await runJest(folder, suite.jest), listed)
    show(name, verdict, option === '--verbose')
    return verdict.fine ? 0 : 1
  } finally {
    await server.stop()
  }
}

/** The suite's report, as its own jest with its own configuration writes it. */
async function runJest(folder, args) {
  const out = await mkdtemp(join(tmpdir(), 'rowhouse-upstream-'))
  const report = join(out, 'report.json')
  try {
    const jest = join(folder, 'node_modules', '.bin', 'jest')
    // The client requires a WebSocket, which Node.js has from 22 on, even where nothing uses it.
    const NODE_OPTIONS = globalThis.WebSocket ? '' : '--experimental-websocket'
    const options = ['--runInBand', '--ci', '--json', `--outputFile=${report}`, ...args]
    const child = spawn(jest, options, { cwd: folder, stdio: ['ignore', 'ignore', 'pipe'], env: { ...process.env, NODE_OPTIONS } })
    let said = ''
    child.stderr.on('data', (text) => (said += text))
    await new Promise((ended, failed) => child.once('error', failed).once('close', ended))
    return JSON.parse(await readFile(report, 'utf8').catch(() => { throw new Error(`${jest} left no report\n${said}`) }))
  } finally {
    await rm(out, { recursive: true, force: true })
  }
}

main(process.argv.slice(2)).then(
  (code) => (process.exitCode = code),
  (error) => {
    console.error(error.message)
    process.exitCode = 2
  },
)
