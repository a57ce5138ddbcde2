// pg-boss: N jobs that do nothing, inserted in bulk and then drained by four loops that fetch, run and complete 200 at once,
// through fetch and complete, which poll without pause; its work() pauses at least half a second between polls.
import { PgBoss } from "pg-boss";
import { report, second } from "./measure.mjs";

const jobs = Number(process.argv[2]);
const bulk = 1000;
const [loops, batch] = [4, 200];
const { PGHOST, PGPORT, PGUSER, PGPASSWORD, PGDATABASE } = process.env;
const boss = new PgBoss({
  host: PGHOST, port: Number(PGPORT), user: PGUSER, password: PGPASSWORD, database: PGDATABASE,
  max: 10, supervise: false, schedule: false,
});
boss.on("error", (error) => console.error(error.message));
await boss.start();
await boss.createQueue("noop");
const enqueueing = performance.now();
for (let place = 0; place < jobs; place += bulk) {
  await boss.insert("noop", Array.from({ length: Math.min(bulk, jobs - place) }, () => ({ data: {} })));
}
const enqueued = second(jobs, enqueueing);

async function loop() {
  for (;;) {
    const found = await boss.fetch("noop", { batchSize: batch });
    if (found.length === 0) return;
    await boss.complete("noop", found.map((job) => job.id));
  }
}
const draining = performance.now();
await Promise.all(Array.from({ length: loops }, loop));
report(second(jobs, draining), enqueued);
process.exit(0);
