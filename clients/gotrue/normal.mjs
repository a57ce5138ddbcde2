// What an answer says, without what differs from run to run: ids, times, tokens, keys.

/** Fields of which only the presence is compared. */
const OPAQUE = new Set([
  'access_token', 'refresh_token', 'expires_at', 'error_id', 'hashed_token', 'email_otp', 'action_link', 'qr_code', 'secret', 'uri', 'challenge', 'version', 'description', 'keys',
])
const UUID = /[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}/gi
const TIME = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)$/

/** `told` with placeholders; `run` is part of the addresses of this run. */
export function normal(told, base, run) {
  return value(told, (text) => text.replaceAll(base, '<base>').replaceAll(run, '<run>').replace(UUID, '<id>'))
}

function value(found, plain) {
  if (typeof found === 'string') return TIME.test(found) ? '<time>' : location(plain(found))
  if (Array.isArray(found)) return found.map((item) => value(item, plain))
  if (found === null || typeof found !== 'object') return found
  return Object.fromEntries(Object.entries(found).map(([key, item]) => [key, OPAQUE.has(key) ? '<opaque>' : value(item, plain)]))
}

/** What a parser says about a mistake is its own. */
const PARSER = /^(Could not parse request body as JSON|Bad Pagination Parameters|invalid JWT: unable to parse or verify signature|invalid format for ban duration)[:,] .*/s

/** Tokens in the fragment or the query of a redirect. */
function location(text) {
  return text.replace(PARSER, '$1').replace(/\b(access_token|refresh_token|expires_at|code|token|state)=[^&#]+/g, '$1=<opaque>')
}
