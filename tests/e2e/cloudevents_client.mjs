// Sends CloudEvents by their official SDK for JavaScript, the same ones in every mode, and prints what
// is answered, a line each. Arguments: the directory in which npm has installed it, and the URL.

import { createRequire } from "node:module";

const [directory, url] = process.argv.slice(2);
const { CloudEvent, HTTP, Mode, emitterFor } = createRequire(directory + "/")("cloudevents");

async function transport({ headers, body }) {
  const answer = await fetch(url, { method: "POST", headers, body });
  console.log(answer.status, await answer.text());
}

const event = (id, more) => new CloudEvent({ id, type: "com.example.order", source: "/shop?x=1", ...more });
const data = { status: 200, durationMs: 12.5, order: { number: 7 } };
const events = [
  event("1", { data, time: new Date().toISOString(), subject: "order 7" }),
  event("zwei \"2\" 100%", { data, traceparent: "00-1" }),
  event("3", { data: "some words", datacontenttype: "text/plain" }),
  event("4"),
];
for (const mode of [Mode.BINARY, Mode.STRUCTURED])
  for (const one of events) await emitterFor(transport, { mode })(one);
await transport({
  headers: { "content-type": "application/cloudevents-batch+json" },
  body: JSON.stringify([...events, event("5", { data })]),
});
