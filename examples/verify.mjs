// Receives webhooks and believes only those that are signed with the endpoint's secret and not older than five minutes.
//   npm install standardwebhooks
//   WEBHOOK_SECRET=whsec_… PORT=3000 node verify.mjs
import { createServer } from "node:http";
import { Webhook } from "standardwebhooks";

const webhook = new Webhook(process.env.WEBHOOK_SECRET);

createServer(async (request, response) => {
  let body = ""; // as it came: what is signed are these bytes, not what JSON.parse makes of them
  for await (const chunk of request.setEncoding("utf8")) body += chunk;
  try {
    const event = webhook.verify(body, request.headers);
    console.log(request.headers["webhook-id"], event.type, event.data.id); // the same id again is a repeat
    response.writeHead(204).end();
  } catch (error) {
    console.error(error.message);
    response.writeHead(400).end();
  }
}).listen(process.env.PORT ?? 3000, "127.0.0.1");
