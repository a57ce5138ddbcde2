// Captured mails through mailpit-api, Mailpit's client from npm: each method works, or fails with the reason.
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { MailpitClient } from 'mailpit-api'
import nodemailer from 'nodemailer'
import { startServer } from '../supabase-js/server.mjs'

let server, state, mailpit, smtp

before(async () => {
  server = await startServer('', { fill: async () => {} })
  state = JSON.parse(await readFile(join(server.dir, '.rowhouse', 'state.json'), 'utf8'))
  mailpit = new MailpitClient(state.mail_url)
  smtp = nodemailer.createTransport({ host: '127.0.0.1', port: state.smtp_port, secure: false, ignoreTLS: true })
})
after(() => server.stop())

const send = (mail) => smtp.sendMail({ from: 'Shop <shop@x.example>', to: 'bob@y.example', ...mail })
const count = async (query) => (await mailpit.searchMessages({ query })).messages_count

test('a mail that has only HTML has text, and a snippet of it', async () => {
  await send({
    subject: 'html only',
    html: '<html><head><style>p{color:red}</style></head><body><p>Your <b>code</b> is 4711.</p><a href="https://x.example/c?t=1">Confirm</a></body></html>',
  })
  const message = await mailpit.waitForMessage({ query: 'subject:"html only"' })
  assert.match(message.Text, /Your code is 4711\./)
  assert.match(message.Text, /Confirm \( https:\/\/x\.example\/c\?t=1 \)/)
  assert.doesNotMatch(message.Text, /color/)
  const { messages } = await mailpit.searchMessages({ query: '"your code is 4711"' })
  assert.match(messages[0].Snippet, /^Your code is 4711\./)
  assert.match(await mailpit.renderMessageHTML(message.ID), /<b>code<\/b>/)
  assert.match(await mailpit.renderMessageText(message.ID), /Your code is 4711/)
})

test('files are counted, searched, described and downloaded', async () => {
  const pdf = Buffer.from('%PDF-1.4 x')
  await send({
    subject: 'with files',
    html: '<img src="cid:logo@x">',
    attachments: [
      { filename: 'Größe 1.pdf', content: pdf, contentType: 'application/pdf' },
      { filename: 'logo.png', content: Buffer.from('png'), cid: 'logo@x', contentDisposition: 'inline' },
    ],
  })
  const { messages } = await mailpit.searchMessages({ query: 'has:attachment has:inline subject:"with files"' })
  assert.equal(messages[0].Attachments, 1)
  assert.deepEqual([await count('"größe 1.pdf"'), await count('has:inline "html only"')], [1, 0])
  const message = await mailpit.getMessageSummary(messages[0].ID)
  const [file] = message.Attachments
  assert.equal(file.Checksums.SHA256, createHash('sha256').update(pdf).digest('hex'))
  assert.deepEqual([file.FileName, file.Size, message.Inline[0].ContentID], ['Größe 1.pdf', pdf.length, 'logo@x'])
  const blob = await mailpit.getMessageAttachment(message.ID, file.PartID)
  assert.equal(blob.type, 'application/pdf')
  assert.deepEqual(Buffer.from(await blob.arrayBuffer()), pdf)
  const answer = await fetch(`${state.mail_url}/api/v1/message/${message.ID}/part/${file.PartID}`)
  assert.equal(answer.headers.get('content-disposition'), "attachment; filename*=UTF-8''Gr%C3%B6%C3%9Fe%201%2Epdf")
  const html = await mailpit.renderMessageHTML(message.ID)
  const shown = html.match(/src="([^"]+)"/)[1]
  assert.equal(await (await fetch(new URL(shown, state.mail_url))).text(), 'png')
})

test('dates and sizes are searched, and unsupported terms are refused', async () => {
  await send({ subject: 'a large one', text: 'x '.repeat(5000) })
  const large = 'subject:"a large one"'
  for (const [query, found] of [
    ['larger:5k', 1], ['smaller:5kb', 0], ['after:2020-01-01', 1], ['before:2020-01-01', 0], ['-before:"2020-01-01 12:00"', 1],
  ]) assert.equal(await count(`${large} ${query}`), found, query)
  for (const query of ['before:soon', 'larger:much', 'has:wings', 'is:odd']) {
    await assert.rejects(mailpit.searchMessages({ query }), /400/, query)
  }
  await assert.rejects(mailpit.searchMessages({ query: 'x', tz: 'Europe/Berlin' }), /only UTC/)
})

test('tags come from X-Tags and plus addresses, and can be changed', async () => {
  await send({ to: 'bob+welcome@y.example', subject: 'tagged', text: 'x', headers: { 'X-Tags': 'Big One, order' } })
  const message = await mailpit.waitForMessage({ query: 'subject:tagged' })
  assert.deepEqual(message.Tags, ['Big One', 'order', 'welcome'])
  assert.deepEqual([await count('tag:"big one"'), await count('tag:big')], [1, 0])
  await mailpit.renameTag('order', 'sold')
  await mailpit.deleteTag('welcome')
  assert.deepEqual((await mailpit.getMessageSummary(message.ID)).Tags, ['Big One', 'sold'])
  await mailpit.setTags({ IDs: [message.ID], Tags: ['other'] })
  assert.deepEqual(await mailpit.getTags(), ['other'])
  const info = await mailpit.getInfo()
  assert.deepEqual(info.Tags, { other: 1 })
  assert.ok(info.Messages > 0 && info.DatabaseSize > 0 && info.Version)
  await mailpit.setTags({ IDs: [message.ID], Tags: [] })
  assert.equal(await count('is:tagged'), 0)
})

test('header names are those that were sent', async () => {
  await send({ subject: 'headers', text: 'x', headers: { 'X-MixedCASE': 'a', 'x-lower': 'b' } })
  const [{ ID }] = (await mailpit.searchMessages({ query: 'subject:headers' })).messages
  const headers = await mailpit.getMessageHeaders(ID)
  const source = await mailpit.getMessageSource(ID)
  for (const name of ['Subject', ...source.match(/^x-(mixedcase|lower)/gim)]) assert.ok(headers[name], name)
})

test('a mail is sent through the mailbox', async () => {
  const { ID } = await mailpit.sendMessage({
    From: { Email: 'ada@x.example', Name: 'Ada' },
    To: [{ Email: 'bob@y.example', Name: 'Bob' }],
    Bcc: ['eve@y.example'],
    Subject: 'by mailpit',
    HTML: '<p>Hi</p>',
    Tags: ['sent'],
    Headers: { 'X-A': '1' },
    Attachments: [{ Filename: 'a.txt', Content: Buffer.from('abc').toString('base64'), ContentType: 'text/plain' }],
  })
  const message = await mailpit.getMessageSummary(ID)
  assert.deepEqual([message.From.Name, message.To[0].Address, message.Bcc[0].Address], ['Ada', 'bob@y.example', 'eve@y.example'])
  assert.deepEqual([message.Tags, message.Attachments[0].Size, message.Text], [['sent'], 3, 'Hi'])
  await assert.rejects(mailpit.sendMessage({ From: { Email: 'nobody' }, To: [] }), /400/)
})

test('mails are marked, listed and deleted', async () => {
  const listed = await mailpit.listMessages(0, 2)
  assert.deepEqual([listed.messages.length, listed.count], [2, 2])
  await mailpit.setReadStatus({ Read: true })
  assert.equal((await mailpit.getInfo()).Unread, 0)
  await mailpit.setReadStatus({ IDs: [listed.messages[0].ID], Read: false })
  assert.equal(await count('is:unread'), 1)
  await mailpit.deleteMessagesBySearch({ query: 'is:unread' })
  await mailpit.deleteMessages({ IDs: [listed.messages[1].ID] })
  assert.equal((await mailpit.listMessages()).total, listed.total - 2)
  await mailpit.deleteMessages()
  assert.equal((await mailpit.listMessages()).total, 0)
})

test('unsupported methods are a 501 with the reason', async () => {
  await send({ subject: 'limits', text: 'x' })
  const { ID } = await mailpit.waitForMessage({ query: 'subject:limits' })
  for (const call of [
    () => mailpit.htmlCheck(ID),
    () => mailpit.linkCheck(ID),
    () => mailpit.spamAssassinCheck(ID),
    () => mailpit.releaseMessage(ID, { To: ['a@x.example'] }),
    () => mailpit.getAttachmentThumbnail(ID, '1'),
    () => mailpit.getChaosTriggers(),
  ]) await assert.rejects(call(), /501/)
  assert.equal((await mailpit.getConfiguration()).SpamAssassin, false)
})

test('the page loads, and nothing from other hosts', async () => {
  const page = await fetch(`${state.mail_url}/`)
  assert.match(await page.text(), /<title>Captured mail<\/title>/)
  assert.match(page.headers.get('content-security-policy'), /default-src 'none'; script-src 'self'/)
  for (const file of ['mailbox.js', 'mailbox.css']) assert.equal((await fetch(`${state.mail_url}/${file}`)).status, 200)
  await send({ subject: 'hostile', html: '<script>top.location="https://evil.example"</script><p>x</p>' })
  const { ID } = await mailpit.waitForMessage({ query: 'subject:hostile' })
  const view = await fetch(`${state.mail_url}/view/${ID}.html?framed=true`)
  assert.match(view.headers.get('content-security-policy'), /^sandbox allow-popups allow-popups-to-escape-sandbox; default-src 'none'/)
})
