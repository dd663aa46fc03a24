// Posts webhooks signed by the official libraries of GitHub, Shopify, Standard Webhooks and Svix.
//
// Reads {"provider", "url", "secret", "headers", "body"} lines from standard input and prints one
// line a post: status and answer. `headers` are sent as they are, beside those that the library
// makes; `id` among the fields is the message's id.
//
// SIGNALBOX_SENDERS names the directory that holds node_modules.

import { readFileSync } from 'node:fs';
import { pathToFileURL } from 'node:url';

const at = (path) => import(pathToFileURL(`${process.env.SIGNALBOX_SENDERS}/node_modules/${path}`));
const github = await at('@octokit/webhooks-methods/dist-node/index.js');
const shopify = await at('@shopify/shopify-api/dist/esm/test-helpers/index.mjs');
const standard = await at('standardwebhooks/dist/index.js');
const svix = await at('svix/dist/index.mjs');

const message = (Webhook, names, { secret, id, body }) => {
  const moment = new Date();
  return {
    [`${names}-id`]: id,
    [`${names}-timestamp`]: String(Math.floor(moment.getTime() / 1000)),
    [`${names}-signature`]: new Webhook(secret).sign(id, moment, body),
  };
};

const signers = {
  github: async ({ secret, body }) => ({ 'x-hub-signature-256': await github.sign(secret, body) }),
  shopify: async ({ secret, body }) => ({ 'x-shopify-hmac-sha256': shopify.getHmac(body, secret) }),
  standardwebhooks: async (line) => message(standard.Webhook, 'webhook', line),
  svix: async (line) => message(svix.Webhook, 'svix', line),
};

for (const text of readFileSync('/dev/stdin', 'utf8').split('\n').filter((line) => line !== '')) {
  const line = JSON.parse(text);
  const headers = { ...line.headers, ...(await signers[line.provider](line)) };
  const answer = await fetch(line.url, { method: 'POST', headers, body: line.body });
  console.log(`${answer.status} ${await answer.text()}`);
}
