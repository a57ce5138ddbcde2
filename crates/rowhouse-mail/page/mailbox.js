// The mailbox's page: a list, and one mail beside it. Everything that mails contain is put in as text, or into a sandboxed frame.
'use strict'

const PAGE = 50
const LOOK_AGAIN = 5000
const at = (id) => document.getElementById(id)
let shown = PAGE, current = null, view = null, listed = ''

async function ask(path, options) {
  const response = await fetch(path, options)
  if (response.ok) return response
  const body = await response.json().catch(() => ({}))
  throw new Error(body.Error || `${response.status} ${response.statusText}`)
}

// Does something, and says what went wrong.
async function attempt(work) {
  try {
    await work()
    at('trouble').hidden = true
  } catch (error) {
    at('trouble').textContent = error.message
    at('trouble').hidden = false
  }
}

function make(name, properties, ...children) {
  const element = Object.assign(document.createElement(name), properties)
  element.append(...children)
  return element
}

const person = (one) => (one ? (one.Name ? `${one.Name} <${one.Address}>` : one.Address) : '')
const people = (list) => (list || []).map(person).join(', ')
const when = (text) => new Date(text)
const size = (bytes) => (bytes < 1024 ? `${bytes} B` : bytes < 1048576 ? `${(bytes / 1024).toFixed(1)} KB` : `${(bytes / 1048576).toFixed(1)} MB`)

function entry(mail) {
  const to = people([...mail.To, ...mail.Cc, ...mail.Bcc]) || 'nobody'
  const files = mail.Attachments ? ` · ${mail.Attachments} ${mail.Attachments === 1 ? 'file' : 'files'}` : ''
  const tags = mail.Tags.length ? ` · ${mail.Tags.join(', ')}` : ''
  const link = make('a', { href: `#${mail.ID}`, className: mail.Read ? '' : 'unread' },
    make('span', { className: 'line' }, mail.Subject || '(no subject)'),
    make('time', { dateTime: mail.Created }, when(mail.Created).toLocaleTimeString([], { hour: '2-digit', minute: '2-digit' })),
    make('span', { className: 'snippet' }, `to ${to}${files}${tags}`),
    make('span', { className: 'snippet' }, mail.Snippet))
  if (!mail.Read) link.prepend(make('span', { className: 'hidden' }, 'Unread: '))
  if (mail.ID === current) link.setAttribute('aria-current', 'true')
  return make('li', {}, link)
}

async function list() {
  const query = at('query').value.trim()
  const limit = Math.min(shown, 500)
  const path = query ? `/api/v1/search?limit=${limit}&query=${encodeURIComponent(query)}` : `/api/v1/messages?limit=${limit}`
  const found = await (await ask(path)).json()
  const now = JSON.stringify([current, found])
  if (now === listed) return
  listed = now
  const focused = document.activeElement?.closest('#list a')?.getAttribute('href')
  at('list').replaceChildren(...found.messages.map(entry))
  if (focused) at('list').querySelector(`a[href="${CSS.escape(focused)}"]`)?.focus()
  at('counts').textContent = query ? `${found.messages_count} of ${found.total} found` : `${found.total} mails, ${found.unread} unread`
  at('none').hidden = found.messages.length > 0
  at('none').textContent = query ? 'Nothing found.' : 'No mail. What the program sends in development appears here.'
  at('more').hidden = found.messages.length >= found.messages_count || shown >= 500
}

function facts(mail) {
  const all = [
    ['From', person(mail.From)], ['To', people(mail.To)], ['Cc', people(mail.Cc)], ['Bcc', people(mail.Bcc)],
    ['Reply to', people(mail.ReplyTo)], ['Sent', when(mail.Date).toLocaleString()], ['Tags', mail.Tags.join(', ')],
    ['Size', size(mail.Size)],
  ]
  return all.filter(([, value]) => value).flatMap(([name, value]) => [make('dt', {}, name), make('dd', {}, value)])
}

function file(mail, one) {
  const name = one.FileName || one.ContentType
  const link = make('a', { href: `/api/v1/message/${mail.ID}/part/${one.PartID}`, download: one.FileName }, `${name} (${size(one.Size)})`)
  return make('li', {}, link)
}

async function open(id) {
  const mail = await (await ask(`/api/v1/message/${encodeURIComponent(id)}`)).json()
  current = mail.ID
  at('mail').hidden = false
  at('hint').hidden = true
  at('subject').textContent = mail.Subject || '(no subject)'
  at('facts').replaceChildren(...facts(mail))
  at('files').replaceChildren(...[...mail.Attachments, ...mail.Inline].map((one) => file(mail, one)))
  at('tab-html').disabled = !mail.HTML
  await show(mail.HTML ? 'html' : 'text', mail)
  await list()
}

async function show(name, mail) {
  view = name
  for (const tab of document.querySelectorAll('[role=tab]')) {
    const is = tab.dataset.view === name
    tab.setAttribute('aria-selected', String(is))
    tab.tabIndex = is ? 0 : -1
    if (is) at('panel').setAttribute('aria-labelledby', tab.id)
  }
  at('panel').replaceChildren(await content(name, mail))
}

async function content(name, mail) {
  const path = `/api/v1/message/${mail.ID}`
  if (name === 'html') {
    const frame = make('iframe', { title: 'The mail as HTML', referrerPolicy: 'no-referrer', src: `/view/${mail.ID}.html?framed=true` })
    frame.setAttribute('sandbox', 'allow-popups allow-popups-to-escape-sandbox')
    return frame
  }
  if (name === 'text') return make('pre', {}, mail.Text || '(no text)')
  if (name === 'source') return make('pre', {}, await (await ask(`${path}/raw`)).text())
  const headers = await (await ask(`${path}/headers`)).json()
  const lines = Object.entries(headers).flatMap(([key, values]) => values.map((value) => `${key}: ${value}`))
  return make('pre', {}, lines.join('\n'))
}

const chosen = async () => (await ask(`/api/v1/message/${current}`)).json()

function close() {
  current = null
  at('mail').hidden = true
  at('hint').hidden = false
}

async function follow() {
  const id = location.hash.slice(1)
  if (!/^[0-9]+$/.test(id)) return close()
  if (id !== current) await open(id)
}

at('search').addEventListener('submit', (event) => {
  event.preventDefault()
  shown = PAGE
  attempt(list)
})
at('query').addEventListener('search', () => attempt(list))
at('more').addEventListener('click', () => {
  shown += PAGE
  attempt(list)
})
at('tabs').addEventListener('click', (event) => {
  const tab = event.target.closest('[role=tab]')
  if (tab && !tab.disabled) attempt(async () => show(tab.dataset.view, await chosen()))
})
at('tabs').addEventListener('keydown', (event) => {
  const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key]
  const tabs = [...document.querySelectorAll('[role=tab]:not(:disabled)')]
  const here = tabs.findIndex((tab) => tab.dataset.view === view)
  if (!step || here < 0) return
  const next = tabs[(here + step + tabs.length) % tabs.length]
  next.focus()
  next.click()
})
at('delete').addEventListener('click', () => attempt(async () => {
  await ask('/api/v1/messages', { method: 'DELETE', body: JSON.stringify({ IDs: [current] }) })
  location.hash = ''
  close()
  await list()
}))
at('delete-all').addEventListener('click', () => attempt(async () => {
  if (!confirm('Delete all captured mails?')) return
  await ask('/api/v1/messages', { method: 'DELETE' })
  location.hash = ''
  close()
  await list()
}))
at('read-all').addEventListener('click', () => attempt(async () => {
  await ask('/api/v1/messages', { method: 'PUT', body: JSON.stringify({ Read: true }) })
  await list()
}))
addEventListener('hashchange', () => attempt(follow))
setInterval(() => document.hidden || attempt(list), LOOK_AGAIN)
attempt(async () => {
  await list()
  await follow()
})
