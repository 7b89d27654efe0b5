// Vendors that we did not write: one aimock server for each row of ROWS, each accepting only its own row's key.
//
// ROWS is a JSON list of {id, key, model}; prints {id: address} on the first line, stops when stdin closes.
import { LLMock } from "@copilotkit/aimock";

const rows = JSON.parse(process.env.ROWS);
const urls = {};
for (const { id, key, model } of rows) {
  const server = new LLMock({ port: 0, host: "127.0.0.1", logLevel: "silent", auth: key ? { apiKeys: [key] } : undefined });
  const first = (request) => !request.messages.some((message) => message.role === "tool");
  server.on({ endpoint: "chat", model, toolName: "weather", predicate: first }, { toolCalls: [{ id: "call_1", name: "weather", arguments: '{"city":"Oslo"}' }] });
  server.on({ endpoint: "chat", model }, { content: `${id} says hello` });
  await server.start();
  urls[id] = server.url;
}
console.log(JSON.stringify(urls));
process.stdin.resume().on("end", () => process.exit(0));
