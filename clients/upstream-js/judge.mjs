// Compares jest's report with the list of cases that cannot apply, and prints the result.
import { basename } from 'node:path'

/**
 * `listed` maps a case, `<file>: <full name>`, to the reason why it cannot apply. Cases of one name in one file are
 * numbered from the second on, in the order of the file.
 */
export function judge(report, listed) {
  const cases = report.testResults.flatMap(casesOf)
  const is = (status) => cases.filter((one) => one.status === status)
  const failed = is('failed')
  const names = new Set(cases.map(({ name }) => name))
  const verdict = {
    passed: is('passed'),
    skipped: cases.filter(({ status }) => status !== 'passed' && status !== 'failed'),
    excused: failed.filter(({ name }) => name in listed),
    unexcused: failed.filter(({ name }) => !(name in listed)),
    redundant: is('passed').filter(({ name }) => name in listed),
    unknown: Object.keys(listed).filter((name) => !names.has(name)),
    // A file that does not compile has no cases to fail.
    broken: report.testResults.filter((file) => file.status === 'failed' && file.assertionResults.length === 0),
    listed,
  }
  verdict.fine =
    cases.length > 0 && [verdict.unexcused, verdict.redundant, verdict.unknown, verdict.broken].every((list) => list.length === 0)
  return verdict
}

function casesOf(file) {
  const seen = new Map()
  return file.assertionResults.map(({ fullName, status, failureMessages }) => {
    const nth = (seen.get(fullName) ?? 0) + 1
    seen.set(fullName, nth)
    const name = `${basename(file.name)}: ${fullName}${nth > 1 ? ` (${nth})` : ''}`
    // Colours would make a log hard to read.
    const why = failureMessages.join('\n').replaceAll(/\u001b\[\d+m/g, '')
    return { name, status, why }
  })
}

/** Prints the counts after everything that needs somebody's attention. */
export function show(name, verdict, verbose) {
  const { passed, skipped, excused, unexcused, redundant, unknown, broken, listed } = verdict
  for (const { name, message } of broken) console.log(`DOES NOT RUN  ${name}\n${message}`)
  for (const { name, why } of unexcused) console.log(`FAILS  ${name}\n${why}\n`)
  for (const { name } of redundant) console.log(`PASSES ALTHOUGH LISTED  ${name}`)
  for (const name of unknown) console.log(`LISTED BUT NOT THERE  ${name}`)
  if (verbose) for (const { name, why } of excused) console.log(`cannot apply  ${name}: ${listed[name]}\n${why}\n`)
  const counts = { passed, 'failed as listed': excused, failed: unexcused, 'skipped by upstream': skipped }
  console.log(`${name}: ${Object.entries(counts).map(([what, list]) => `${list.length} ${what}`).join(', ')}`)
}
