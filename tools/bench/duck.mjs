// Answers questions by DuckDB: each line of stdin is a JSON array of statements, each line of stdout
// {"ms": how long they took, "rows": those of the last} or {"error": ...}.
// Arguments: the directory in which npm has installed @duckdb/node-api, and the database file.

import { createRequire } from "node:module";
import { createInterface } from "node:readline";

const [directory, file] = process.argv.slice(2);
const { DuckDBInstance } = createRequire(directory + "/")("@duckdb/node-api");
const connection = await (await DuckDBInstance.create(file)).connect();

for await (const line of createInterface({ input: process.stdin })) {
  try {
    const began = process.hrtime.bigint();
    let last;
    for (const statement of JSON.parse(line)) last = await connection.runAndReadAll(statement);
    const ms = Number(process.hrtime.bigint() - began) / 1e6;
    console.log(JSON.stringify({ ms, rows: last.getRowsJson() }));
  } catch (e) {
    console.log(JSON.stringify({ error: String(e) }));
  }
}
