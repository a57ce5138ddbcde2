// What the drivers of other queues share: a rate since a moment, waiting for the end, and the line that the bench reads.

export function second(count, since) {
  return (count * 1000) / (performance.now() - since);
}

export async function drainedWhen(isDrained) {
  const until = performance.now() + 300_000;
  while (!(await isDrained())) {
    if (performance.now() > until) throw new Error("not drained within five minutes");
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

export function report(drained, enqueued) {
  console.log(JSON.stringify({ drained_per_second: drained, enqueued_per_second: enqueued }));
}
