// A Rowhouse for one test file: a fresh project in a temporary folder on free ports, started and stopped through the
// command line. Leaves users and their clients to person.mjs.
import { spawn } from 'node:child_process'
import { chmod, cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'

const repository = join(import.meta.dirname, '..', '..')
const binary = join(resolve(repository, process.env.CARGO_TARGET_DIR ?? 'target'), 'debug', 'rowhouse')
const READY = 'Rowhouse is ready'
const START_LIMIT_MS = 90_000
const STOP_LIMIT_MS = 30_000

/**
 * Starts a server; `settings` is the text of its rowhouse.toml. `fill` writes migrations and seed into the project's
 * folder: the example's tables and this suite's own unless given. `port` is a free one unless given.
 */
export async function startServer(settings = '', { fill = fillWithExample, port } = {}) {
  const dir = await createProject(settings, fill)
  port ??= await freePorts()
  const child = spawn(binary, ['up', '--dir', dir, '--port', String(port)], { stdio: ['ignore', 'ignore', 'pipe'] })
  const exited = new Promise((resolve) => child.once('exit', (code, signal) => resolve({ code, signal })))
  const orphaned = () => child.kill('SIGTERM')
  process.once('exit', orphaned)
  const stop = async () => {
    process.off('exit', orphaned)
    await stopChild(child, exited)
    await rm(dir, { recursive: true, force: true })
  }
  try {
    await ready(child, exited)
    const state = JSON.parse(await readFile(join(dir, '.rowhouse', 'state.json'), 'utf8'))
    const response = await fetch(`${state.url}/health/ready`)
    if (response.status !== 200) throw new Error(`/health/ready answers ${response.status} after the ready banner`)
    return { url: state.url, anonKey: state.anon_key, serviceRoleKey: state.service_role_key, dir, stop }
  } catch (error) {
    await stop()
    throw error
  }
}

async function createProject(settings, fill) {
  const dir = await mkdtemp(join(tmpdir(), 'rowhouse-client-'))
  // As root, the database runs under another account, which needs access to the folder.
  await chmod(dir, 0o755)
  await run(['init', dir])
  await writeFile(join(dir, 'rowhouse.toml'), settings)
  await fill(dir)
  return dir
}

async function fillWithExample(dir) {
  const example = join(repository, 'examples', 'todos')
  for (const from of [join(example, 'migrations'), join(import.meta.dirname, 'migrations')]) {
    await cp(from, join(dir, 'migrations'), { recursive: true })
  }
  await cp(join(example, 'seed.sql'), join(dir, 'seed.sql'))
}

function run(args) {
  const child = spawn(binary, args, { stdio: ['ignore', 'ignore', 'pipe'] })
  let said = ''
  child.stderr.on('data', (text) => (said += text))
  return new Promise((resolve, reject) => {
    child.once('error', (error) => reject(new Error(`${binary}: ${error.message}; build it with cargo build`)))
    child.once('close', (code) => (code === 0 ? resolve() : reject(new Error(`rowhouse ${args[0]}: exit ${code}\n${said}`))))
  })
}

/** Resolves at the banner; rejects with what the server said if it ends first or takes too long. */
function ready(child, exited) {
  let said = ''
  return new Promise((resolve, reject) => {
    const limit = setTimeout(() => reject(new Error(`not ready after ${START_LIMIT_MS} ms\n${said}`)), START_LIMIT_MS)
    child.stderr.on('data', (text) => {
      if (said === null) return // keeps the pipe empty
      said += text
      if (!said.split('\n').some((line) => line.startsWith(READY))) return
      clearTimeout(limit)
      said = null
      resolve()
    })
    child.once('error', reject)
    exited.then(({ code, signal }) => {
      clearTimeout(limit)
      reject(new Error(`rowhouse up ended (${signal ?? code})\n${said}`))
    })
  })
}

async function stopChild(child, exited) {
  if (child.exitCode !== null || child.signalCode !== null) return
  child.kill('SIGTERM')
  let limit
  const late = new Promise((resolve) => (limit = setTimeout(() => resolve('late'), STOP_LIMIT_MS)))
  const end = await Promise.race([exited, late])
  clearTimeout(limit)
  if (end === 'late') {
    child.kill('SIGKILL')
    throw new Error(`rowhouse up did not stop within ${STOP_LIMIT_MS} ms of SIGTERM`)
  }
  if (end.code !== 0) throw new Error(`rowhouse up ended with ${end.signal ?? end.code} instead of 0`)
}

/** A port P such that P, P+1, P+3 and P+4 are free: API, PostgreSQL, captured mail, SMTP. */
async function freePorts() {
  for (let attempt = 0; attempt < 100; attempt += 1) {
    const base = 20_000 + 10 * Math.floor(Math.random() * 4_000)
    const free = await Promise.all([0, 1, 3, 4].map((offset) => isFree(base + offset)))
    if (free.every(Boolean)) return base
  }
  throw new Error('no free ports')
}

function isFree(port) {
  return new Promise((resolve) => {
    const listener = createServer()
    listener.once('error', () => resolve(false))
    listener.listen(port, '127.0.0.1', () => listener.close(() => resolve(true)))
  })
}
