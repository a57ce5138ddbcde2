// BullMQ on a Redis of its own with an append-only file, flushed every second or with every write: N jobs that do nothing,
// added in bulk and then drained with 50 at once, each removed when it is done.
import { spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { once } from "node:events";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Queue, Worker } from "bullmq";
import { Redis } from "ioredis";
import { drainedWhen, report, second } from "./measure.mjs";

const jobs = Number(process.argv[2]);
const bulk = 1000;
const folder = mkdtempSync(join(tmpdir(), "rowhouse-redis-"));
const port = await freePort();
const redis = spawn(
  "redis-server",
  ["--port", port, "--bind", "127.0.0.1", "--dir", folder, "--save", "", "--appendonly", "yes", "--appendfsync", process.argv[3]],
  { stdio: "ignore" },
);
redis.on("error", () => {
  console.error("redis-server is not installed (apt-get install redis-server)");
  process.exit(1);
});
process.on("exit", () => {
  redis.kill("SIGKILL");
  rmSync(folder, { recursive: true, force: true });
});
const connection = { host: "127.0.0.1", port, maxRetriesPerRequest: null };
await new Redis(connection).ping();

const queue = new Queue("noop", { connection, defaultJobOptions: { removeOnComplete: true } });
const enqueueing = performance.now();
for (let place = 0; place < jobs; place += bulk) {
  await queue.addBulk(Array.from({ length: Math.min(bulk, jobs - place) }, () => ({ name: "noop", data: {} })));
}
const enqueued = second(jobs, enqueueing);

let completed = 0;
const draining = performance.now();
const worker = new Worker("noop", async () => {}, { connection, concurrency: 50 });
worker.on("completed", () => void (completed += 1));
await drainedWhen(() => completed >= jobs);
report(second(jobs, draining), enqueued);
process.exit(0);

async function freePort() {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address();
  server.close();
  await once(server, "close");
  return port;
}
