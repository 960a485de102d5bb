// OpenAI's fine-tuning tutorial as one program: upload, train, look after, read the metrics, use, cancel, delete.
//
//     npm install
//     export OPENAI_API_KEY=…         # and OPENAI_BASE_URL, where it is not OpenAI itself
//     node tutorial.mjs [train.jsonl]

import { createReadStream } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";

import OpenAI from "openai";

const MODEL = "gpt-4o-mini";
const EXAMPLES = fileURLToPath(new URL("train.jsonl", import.meta.url));
const SYSTEM = "You are a teaching assistant for machine learning. Answer in the style of Shakespeare.";
const QUESTION = "What is overfitting, and how do I notice it?";
const POLL_MILLISECONDS = 2000;
const ENDED = ["succeeded", "failed", "cancelled"];
const CURVES = {
  train_loss: "loss",
  train_mean_token_accuracy: "accuracy",
  valid_loss: "test loss",
  valid_mean_token_accuracy: "test acc.",
};
const CHART_ROWS = 12;
const CHART_WIDTH = 40;

const client = new OpenAI();

async function main(examples) {
  const file = await upload(examples);
  const [job, events] = await train(file);
  step("5. Read the metrics");
  draw(events.filter((event) => event.type === "metrics").map((event) => event.data));
  step("6. Use the model");
  const model = job.fine_tuned_model ?? fail(`The job ${job.id} succeeded without naming its model.`);
  console.log(`> ${QUESTION}\n${await ask(model)}`);
  await cancelAnother(file);
  step("Delete the model");
  console.log(await client.models.delete(model));
}

function step(name) {
  console.log(`\n${name}\n${"-".repeat(name.length)}`);
}

function fail(sentence) {
  throw new Error(sentence);
}

async function upload(examples) {
  step("3. Upload the examples");
  const file = await client.files.create({ file: createReadStream(examples), purpose: "fine-tune" });
  console.log(file);
  return file;
}

async function train(file) {
  step("4. Create the job");
  const created = await client.fineTuning.jobs.create({ training_file: file.id, model: MODEL });
  console.log(created);
  step("4a. Look after it");
  const { data } = await client.fineTuning.jobs.list({ limit: 10 });
  for (const listed of data) console.log(listed.id, listed.status, listed.model);
  console.log(await client.fineTuning.jobs.retrieve(created.id));
  const [job, events] = await follow(created.id);
  if (job.status !== "succeeded") fail(`The job ${job.id} did not succeed, it ${ending(job)}.`);
  return [job, events];
}

async function cancelAnother(file) {
  step("Cancel a second job");
  const created = await client.fineTuning.jobs.create({ training_file: file.id, model: MODEL });
  console.log(await client.fineTuning.jobs.cancel(created.id));
  const [job] = await follow(created.id);
  if (job.status !== "cancelled") fail(`The job ${job.id} was to be cancelled, but it ${ending(job)}.`);
}

/** Tells what happens to a job until it ends, and returns it with its events, oldest first. */
async function follow(jobId) {
  const seen = new Map();
  for (;;) {
    const job = await client.fineTuning.jobs.retrieve(jobId);
    const news = [];
    for await (const event of client.fineTuning.jobs.listEvents(jobId, { limit: 10 })) {
      if (seen.has(event.id)) break; // they come newest first
      news.unshift(event);
    }
    tell(news);
    for (const event of news) seen.set(event.id, event);
    if (ENDED.includes(job.status)) return [job, [...seen.values()]];
    await sleep(POLL_MILLISECONDS);
  }
}

/** A line for every message, and for every run of training steps its last one. */
function tell(news) {
  for (const [index, event] of news.entries()) {
    if (event.type === "metrics" && news[index + 1]?.type === "metrics") continue;
    console.log(new Date(event.created_at * 1000).toTimeString().slice(0, 8), event.message);
  }
}

function ending(job) {
  return job.error?.message ? `${job.status}: ${job.error.message}` : job.status;
}

/** A table of the curves with a bar for the training loss, in a dozen rows from the first step to the last. */
function draw(steps) {
  const last = steps.length - 1;
  const chosen = (_, row) => steps[Math.floor((row * last) / (CHART_ROWS - 1))];
  const rows = last >= CHART_ROWS ? Array.from({ length: CHART_ROWS }, chosen) : steps;
  const highest = Math.max(...rows.map((row) => row.train_loss)) || 1;
  const titles = Object.values(CURVES).map((title) => title.padStart(9));
  console.log([" step", ...titles].join(" "));
  for (const row of rows) {
    const figures = Object.keys(CURVES).map((curve) => (row[curve]?.toFixed(3) ?? "–").padStart(9));
    const bar = "█".repeat(Math.round((row.train_loss / highest) * CHART_WIDTH));
    console.log([String(row.step).padStart(5), ...figures, ` ${bar}`].join(" "));
  }
}

async function ask(model) {
  const completion = await client.chat.completions.create({
    model,
    messages: [
      { role: "system", content: SYSTEM },
      { role: "user", content: QUESTION },
    ],
  });
  return completion.choices[0].message.content;
}

try {
  await main(process.argv[2] ?? EXAMPLES);
} catch (error) {
  console.error(`That did not work: ${error.message}`);
  process.exitCode = 1;
}
