// Mail through real clients: nodemailer and Python's smtplib submit it, the captured mailbox shows what arrived.
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import { connect } from 'node:net'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import nodemailer from 'nodemailer'
import { startServer } from '../supabase-js/server.mjs'

let server, state

before(async () => {
  server = await startServer('', { fill: async () => {} })
  state = JSON.parse(await readFile(join(server.dir, '.rowhouse', 'state.json'), 'utf8'))
})
after(() => server.stop())

const transport = (options = {}) =>
  nodemailer.createTransport({ host: '127.0.0.1', port: state.smtp_port, secure: false, ignoreTLS: true, ...options })

async function mailbox(path, init) {
  const response = await fetch(`${state.mail_url}${path}`, init)
  assert.equal(response.status, 200, path)
  return response
}

const search = async (query) => (await mailbox(`/api/v1/search?query=${encodeURIComponent(query)}`)).json()

test('a mail with files, alternatives and hidden recipients arrives as it was written', async () => {
  await transport().sendMail({
    from: 'Zoë <zoe@x.example>',
    to: ['Bob <bob@y.example>', 'carl@y.example'],
    cc: 'dora@y.example',
    bcc: 'eve@y.example',
    replyTo: 'desk@x.example',
    subject: 'Grüße 🎉',
    text: 'Dot first:\n.hidden\n..twice\n',
    html: '<p>Grüße <img src="cid:logo"></p>',
    attachments: [
      { filename: 'naïve.bin', content: Buffer.from([0, 1, 2, 253, 254, 255]) },
      { filename: 'logo.png', content: Buffer.from('png'), cid: 'logo', contentDisposition: 'inline' },
    ],
  })
  const found = await search('subject:"grüße 🎉"')
  assert.equal(found.messages_count, 1)
  const [summary] = found.messages
  assert.deepEqual(summary.From, { Name: 'Zoë', Address: 'zoe@x.example' })
  assert.deepEqual(summary.To.map((to) => to.Address), ['bob@y.example', 'carl@y.example'])
  assert.deepEqual([summary.Cc[0].Address, summary.Bcc[0].Address], ['dora@y.example', 'eve@y.example'])
  assert.equal(summary.Read, false)
  const message = await (await mailbox(`/api/v1/message/${summary.ID}`)).json()
  assert.equal(message.Text.replaceAll('\r\n', '\n').trimEnd(), 'Dot first:\n.hidden\n..twice')
  assert.match(message.HTML, /Grüße/)
  assert.deepEqual([message.Attachments[0].FileName, message.Inline[0].ContentID], ['naïve.bin', 'logo'])
  const file = await mailbox(`/api/v1/message/${summary.ID}/part/${message.Attachments[0].PartID}`)
  assert.deepEqual([...new Uint8Array(await file.arrayBuffer())], [0, 1, 2, 253, 254, 255])
  const raw = await (await mailbox(`/api/v1/message/${summary.ID}/raw`)).text()
  assert.doesNotMatch(raw, /eve@y\.example/)
  assert.equal((await search('is:read subject:grüße')).messages_count, 1)
})

test('a pool of connections submits many mails', async () => {
  const pool = transport({ pool: true, maxConnections: 5, maxMessages: 20 })
  const mails = Array.from({ length: 100 }, (_, n) => ({ from: 'a@x.example', to: 'b@y.example', subject: `pooled ${n}`, text: 'x' }))
  const answers = await Promise.all(mails.map((mail) => pool.sendMail(mail)))
  pool.close()
  assert.equal(new Set(answers.map((answer) => answer.response)).size, 100)
  assert.equal((await search('subject:pooled')).messages_count, 100)
})

test('line breaks in a header field do not inject headers', async () => {
  await transport().sendMail({
    from: 'a@x.example',
    to: 'b@y.example',
    subject: 'injected\r\nBcc: victim@z.example\r\nX-Evil: 1',
    text: 'x',
  })
  const [summary] = (await search('subject:injected')).messages
  const headers = await (await mailbox(`/api/v1/message/${summary.ID}/headers`)).json()
  assert.deepEqual([headers.Bcc, headers['X-Evil'], summary.Bcc], [undefined, undefined, []])
})

test('mails are read, unread and deleted', async () => {
  await transport().sendMail({ from: 'a@x.example', to: 'b@y.example', subject: 'to be deleted', text: 'x' })
  const [{ ID }] = (await search('subject:"to be deleted"')).messages
  const body = (fields) => ({ body: JSON.stringify(fields) })
  await mailbox('/api/v1/messages', { method: 'PUT', ...body({ IDs: [ID], Read: true }) })
  assert.equal((await search('subject:"to be deleted" is:read')).messages_count, 1)
  await mailbox('/api/v1/messages', { method: 'DELETE', ...body({ IDs: [ID] }) })
  assert.equal((await search('subject:"to be deleted"')).messages_count, 0)
  assert.equal((await fetch(`${state.mail_url}/api/v1/message/${ID}`)).status, 404)
  assert.equal(await (await mailbox('/readyz')).text(), 'ok')
})

test("Python's smtplib signs in and sends, and a message that is too large is refused", async () => {
  const said = await python(state.smtp_port, server.serviceRoleKey)
  assert.deepEqual(JSON.parse(said), {
    signed_in: 235,
    refused: {},
    too_large: 552,
    too_large_unannounced: 552,
    eight_bit: {},
    long_line: 554,
  })
  const [summary] = (await search('subject:"from python"')).messages
  const message = await (await mailbox(`/api/v1/message/${summary.ID}`)).json()
  assert.equal(message.Text.trimEnd(), 'Grüße')
})

test('a client that sends nothing, and one that disconnects during a message, do not affect others', async () => {
  const idle = connect(state.smtp_port, '127.0.0.1')
  const gone = connect(state.smtp_port, '127.0.0.1')
  await new Promise((resolve) => gone.once('data', resolve))
  gone.write('EHLO me\r\nMAIL FROM:<a@x.example>\r\nRCPT TO:<b@y.example>\r\nDATA\r\nSubject: half a mail\r\n')
  gone.destroy()
  await transport().sendMail({ from: 'a@x.example', to: 'b@y.example', subject: 'meanwhile', text: 'x' })
  assert.equal((await search('subject:meanwhile')).messages_count, 1)
  assert.equal((await search('subject:"half a mail"')).messages_count, 0)
  idle.destroy()
})

test('over HTTP a mail is accepted, recognised by its idempotency key, or refused with a reason', async () => {
  const send = (body, key = server.serviceRoleKey) =>
    fetch(`${server.url}/mail/v1/send`, {
      method: 'POST',
      headers: { authorization: `Bearer ${key}` },
      body: typeof body === 'string' ? body : JSON.stringify(body),
    })
  const mail = { to: 'Ada <ada@y.example>', subject: 'Your order', text: 'Sent.', idempotency_key: 'order-7', tag: 'order' }
  const first = await send(mail)
  const accepted = await first.json()
  assert.deepEqual([first.status, accepted.is_new, accepted.recipients[0].address], [202, true, 'ada@y.example'])
  const second = await (await send(mail)).json()
  assert.deepEqual([second.id, second.is_new], [accepted.id, false])
  const headers = { authorization: `Bearer ${server.serviceRoleKey}` }
  const history = await (await fetch(`${server.url}/mail/v1/messages/${accepted.id}`, { headers })).json()
  assert.deepEqual([history.tag, history.recipients[0].state], ['order', 'captured'])
  const large = { name: 'x', content: Buffer.alloc(30 * 1024 * 1024).toString('base64') }
  for (const [body, status, says] of [
    [{ ...mail, to: 'nobody' }, 400, /to: "nobody" is no mail address/],
    [{ ...mail, to: [] }, 400, /1 to \d+ recipients/],
    [{ ...mail, to: Array(51).fill('a@b.example') }, 400, /to: at most 50/],
    [{ ...mail, to: 'a@b.example\r\nBcc: c@d.example' }, 400, /line breaks/],
    [{ ...mail, subject: 'x\nBcc: c@d.example' }, 400, /line breaks/],
    [{ ...mail, headers: { 'X-A': '1\r\nX-B: 2' } }, 400, /line breaks/],
    [{ ...mail, headers: { 'X-A: 1\r\nX-B': '2' } }, 400, /no header's name/],
    [{ ...mail, attachments: [{ name: 'x', content: '%%%' }] }, 400, /not base64/],
    [{ ...mail, attachments: [large] }, 413, /26214400/],
    [{ ...mail, colour: 'red' }, 400, /unknown field/],
    ['{', 400, /EOF/],
  ]) {
    const answer = await send(body)
    assert.equal(answer.status, status, says.source)
    assert.match((await answer.json()).message, says)
  }
  assert.equal((await send(mail, server.anonKey)).status, 401)
  assert.equal((await fetch(`${server.url}/mail/v1/messages/999999`, { headers })).status, 404)
})

test('the mailbox answers only requests whose host is this machine', async () => {
  const answer = await new Promise((resolve, reject) => {
    const socket = connect(Number(new URL(state.mail_url).port), '127.0.0.1')
    socket.once('error', reject)
    socket.once('data', (bytes) => resolve(bytes.toString()))
    socket.write('GET /api/v1/messages HTTP/1.1\r\nhost: evil.example\r\nconnection: close\r\n\r\n')
  })
  assert.match(answer, /^HTTP\/1\.1 403 /)
})

function python(port, key) {
  const child = spawn('python3', [join(import.meta.dirname, 'smtplib_client.py'), String(port), key])
  let said = '', complained = ''
  child.stdout.on('data', (text) => (said += text))
  child.stderr.on('data', (text) => (complained += text))
  return new Promise((resolve, reject) => {
    child.once('error', reject)
    child.once('close', (code) => (code === 0 ? resolve(said) : reject(new Error(complained))))
  })
}
