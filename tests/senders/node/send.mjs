// Posts each line of a file as a webhook, signed by Stripe's official library.
//
//     send.mjs URL SECRET FILE     prints one line a post: status and answer
//     send.mjs --verify SECRET     reads {"header", "body"} lines from standard input and lets the
//                                  library judge them: prints `ok TYPE` or the refusal
//
// SIGNALBOX_SENDERS names the directory that holds node_modules.

import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';

const load = createRequire(`${process.env.SIGNALBOX_SENDERS}/`);
const loaded = load('stripe');
const Stripe = loaded.default ?? loaded;
const stripe = new Stripe('sk_test_unused');

const lines = (path) => readFileSync(path, 'utf8').split('\n').filter((line) => line !== '');

async function post(url, secret, body) {
  const answer = await fetch(url, {
    method: 'POST',
    headers: {
      'content-type': 'application/json; charset=utf-8',
      'stripe-signature': stripe.webhooks.generateTestHeaderString({ payload: body, secret }),
    },
    body,
  });
  return `${answer.status} ${await answer.text()}`;
}

function verify(secret, line) {
  const { header, body } = JSON.parse(line);
  try {
    return `ok ${stripe.webhooks.constructEvent(body, header, secret).type}`;
  } catch (error) {
    return `refused ${error.message.split('\n')[0]}`;
  }
}

const [first, secret, path] = process.argv.slice(2);
if (first === '--verify') {
  for (const line of lines('/dev/stdin')) console.log(verify(secret, line));
} else {
  for (const body of lines(path)) console.log(await post(first, secret, body));
}
