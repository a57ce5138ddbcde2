// graphile-worker: N jobs that do nothing, enqueued in bulk and then drained. `batched` uses what its documentation offers
// for throughput (a local queue that fetches ahead, completions in batches); `default` what it comes with, but as many jobs
// at once.
import { Logger, makeWorkerUtils, run } from "graphile-worker";
import pg from "pg";
import { drainedWhen, report, second } from "./measure.mjs";

const jobs = Number(process.argv[2]);
const batched = process.argv[3] === "batched";
const bulk = 1000;
const logger = new Logger(() => () => {});
const pgPool = new pg.Pool({ max: 20 });
pgPool.on("error", () => {});

const utils = await makeWorkerUtils({ pgPool, logger });
await utils.migrate();
const enqueueing = performance.now();
for (let place = 0; place < jobs; place += bulk) {
  await utils.addJobs(Array.from({ length: Math.min(bulk, jobs - place) }, () => ({ identifier: "noop", payload: {} })));
}
const enqueued = second(jobs, enqueueing);

let ran = 0;
const preset = {
  worker: {
    concurrentJobs: 24,
    maxPoolSize: 20,
    pollInterval: 2000,
    ...(batched && {
      localQueue: { size: 500, refetchDelay: { durationMs: 10 } },
      completeJobBatchDelay: 0,
      failJobBatchDelay: 0,
    }),
  },
};
// As it comes it is more than ten times slower: a part of the jobs tells its pace.
const goal = batched ? jobs : Math.ceil(jobs / 20);
const draining = performance.now();
const runner = await run({ pgPool, logger, preset, noHandleSignals: true, taskList: { noop: async () => void (ran += 1) } });
await drainedWhen(async () => {
  if (ran < goal) return false;
  if (!batched) return true;
  const { rows } = await pgPool.query("select exists (select from graphile_worker._private_jobs) as left");
  return !rows[0].left;
});
report(second(Math.min(ran, jobs), draining), enqueued);
await runner.stop().catch(() => {});
process.exit(0);
