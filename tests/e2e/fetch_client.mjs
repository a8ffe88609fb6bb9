// Sends events by fetch, some at a time on connections that are kept, and prints how many were stored.
// Arguments: the URL, and how many.

const [url, count] = process.argv.slice(2);
let stored = 0;
async function send(from) {
  for (let i = from; i < Number(count); i += 4) {
    const body = JSON.stringify({ feature: "fetch", id: `f-${i}` });
    const answer = await fetch(url, { method: "POST", headers: { "content-type": "application/json" }, body });
    stored += (await answer.json()).stored;
  }
}
await Promise.all([0, 1, 2, 3].map(send));
console.log(stored);
