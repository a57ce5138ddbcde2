// A headless browser with one page of the front end and a virtual authenticator (WebDriver BiDi has none; the DevTools
// protocol has). Leaves what the page does to the tests.
import { access, constants, mkdtemp, readFile, rm } from 'node:fs/promises'
import { createServer } from 'node:http'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import puppeteer from 'puppeteer-core'

const NAMES = ['chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable']

/** The browser's path: `CHROMIUM`, else the first of the usual names on the PATH; undefined if there is none. */
export async function findBrowser() {
  const folders = (process.env.PATH ?? '').split(delimiter)
  const candidates = [process.env.CHROMIUM, ...NAMES.flatMap((name) => folders.map((folder) => join(folder, name)))]
  for (const path of candidates.filter(Boolean)) {
    if (await access(path, constants.X_OK).then(() => true, () => false)) return path
  }
}

/** The front end: an empty page with supabase-js, on a free port of localhost. */
export async function serveFrontEnd() {
  const client = await readFile(join(import.meta.dirname, 'node_modules/@supabase/supabase-js/dist/umd/supabase.js'))
  const server = createServer((request, response) => {
    const isScript = request.url === '/supabase.js'
    response.setHeader('content-type', isScript ? 'text/javascript' : 'text/html')
    response.end(isScript ? client : '<!doctype html><title>front end</title><script src="/supabase.js"></script>')
  })
  await new Promise((resolve) => server.listen(0, 'localhost', resolve))
  const stop = async () => {
    // Browsers keep connections open that they have not used yet.
    const closed = new Promise((resolve) => server.close(resolve))
    server.closeAllConnections()
    await closed
  }
  return { port: server.address().port, stop }
}

/** Opens the browser. `page.evaluate` runs functions in it; `authenticator` speaks the domain WebAuthn of the protocol. */
export async function openBrowser(path, url) {
  const profile = await mkdtemp(join(tmpdir(), 'rowhouse-browser-'))
  const args = ['--no-sandbox', '--disable-dev-shm-usage', '--disable-gpu']
  const browser = await puppeteer.launch({ executablePath: path, headless: true, userDataDir: profile, args })
  const page = await browser.newPage()
  await page.goto(url)
  const devtools = await page.createCDPSession()
  await devtools.send('WebAuthn.enable')
  const stop = async () => {
    await browser.close()
    await rm(profile, { recursive: true, force: true, maxRetries: 5 })
  }
  return { page, devtools, stop }
}

/** A security key that somebody touches whenever it asks, and that knows who it is. */
export async function plugIn(devtools) {
  const options = {
    protocol: 'ctap2',
    transport: 'usb',
    hasResidentKey: true,
    hasUserVerification: true,
    isUserVerified: true,
    automaticPresenceSimulation: true,
  }
  const { authenticatorId } = await devtools.send('WebAuthn.addVirtualAuthenticator', { options })
  return authenticatorId
}
