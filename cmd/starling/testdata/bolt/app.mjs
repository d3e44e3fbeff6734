// An app on Bolt as its documentation teaches: nothing in it knows that the
// Slack it talks to is a local one, but for the address. BOLT_PORT makes it
// take requests over HTTP; otherwise it opens connections of Socket Mode.

import bolt from "@slack/bolt";

const port = Number(process.env.BOLT_PORT || 0);
const app = new bolt.App({
  token: process.env.SLACK_BOT_TOKEN,
  signingSecret: process.env.SLACK_SIGNING_SECRET,
  appToken: process.env.SLACK_APP_TOKEN,
  socketMode: !port,
  clientOptions: { slackApiUrl: process.env.SLACK_API_URL },
});

const plain = (text) => ({ type: "plain_text", text });
const code = (e) => e.data?.error || e.response?.status || e.code || e.message; // of the Web API, of a response URL, of neither

// tried says what became of a call: "ok" or the error of Slack's.
async function tried(call) {
  try {
    await call();
    return "ok";
  } catch (e) {
    return code(e);
  }
}

app.message("hello", async ({ message, say }) => say(`Hello <@${message.user}>!`));

app.event("app_mention", async ({ event, say }) => say(`You said: ${event.text.replace(/^<@\w+>\s*/, "")}`));

app.message("in a thread", async ({ message, say }) => say({ text: "In here.", thread_ts: message.ts }));

app.message("and more", async ({ message, say }) => {
  if (message.thread_ts) await say({ text: `More of ${message.parent_user_id}.`, thread_ts: message.thread_ts });
});

app.message("secret", async ({ message, client }) => {
  await client.chat.postEphemeral({ channel: message.channel, user: message.user, text: "Only you see this." });
});

app.message("attempt", async ({ say, context }) => {
  await say(`attempt ${context.retryNum ?? 0} ${context.retryReason ?? ""}`.trim());
});

app.message("say slowly", async ({ say }) => say("Slowly said."));

app.message("no scope", async ({ message, client, say }) => {
  try {
    await client.users.list({});
  } catch (e) {
    await say(`${e.data.error}: needed ${e.data.needed}`);
  }
});

app.message("nowhere", async ({ client, say }) => {
  await say(await tried(() => client.chat.postMessage({ channel: "C0NOWHERE", text: "?" })));
});

app.event("reaction_added", async ({ event, client }) => {
  if (event.reaction !== "eyes") return;
  await client.reactions.add({ channel: event.item.channel, timestamp: event.item.ts, name: "white_check_mark" });
});

app.command("/echo", async ({ command, ack }) => ack({ response_type: "in_channel", text: `Echo: ${command.text}` }));

const menu = [
  { type: "section", text: { type: "mrkdwn", text: "*What shall it be?*" } },
  { type: "actions", block_id: "menu", elements: [
    { type: "button", action_id: "yes", text: plain("Yes"), value: "y-1" },
    { type: "button", action_id: "form", text: plain("Form") },
    { type: "external_select", action_id: "fruit", placeholder: plain("Fruit"), min_query_length: 1 },
  ] },
];

app.command("/menu", async ({ ack, say }) => {
  await ack();
  await say({ text: "What shall it be?", blocks: menu });
});

app.action("yes", async ({ ack, action, body, respond }) => {
  await ack();
  await respond({ replace_original: true, text: `${body.user.name} chose ${action.value}` });
});

app.options("fruit", async ({ ack, options }) => {
  const all = ["apple", "apricot", "banana"].filter((f) => f.startsWith(options.value));
  await ack({ options: all.map((f) => ({ text: plain(f), value: f })) });
});

app.action("fruit", async ({ ack, action, say }) => {
  await ack();
  await say(`Fruit: ${action.selected_option.value}`);
});

const view = {
  type: "modal", callback_id: "order", title: plain("Order"), submit: plain("Send"), notify_on_close: true, private_metadata: "m-1",
  blocks: [
    { type: "input", block_id: "count", label: plain("How many"), element: { type: "plain_text_input", action_id: "n" } },
    { type: "input", block_id: "kind", label: plain("Fruit"), element: { type: "external_select", action_id: "fruit" }, optional: true },
  ],
};

app.action("form", async ({ ack, body, client }) => {
  await ack();
  await client.views.open({ trigger_id: body.trigger_id, view });
});

app.view("order", async ({ ack, view, body, client }) => {
  const n = view.state.values.count.n.value;
  if (!/^\d+$/.test(n)) {
    await ack({ response_action: "errors", errors: { count: "Please enter a number." } });
    return;
  }
  await ack();
  const fruit = view.state.values.kind.fruit.selected_option?.value;
  await client.chat.postMessage({ channel: "C0RANDOM", text: `<@${body.user.id}> ordered ${n} ${fruit} (${view.private_metadata})` });
});

app.view({ callback_id: "order", type: "view_closed" }, async ({ ack, client }) => {
  await ack();
  await client.chat.postMessage({ channel: "C0RANDOM", text: "Order dropped." });
});

app.shortcut("start", async ({ ack, shortcut, client }) => {
  await ack();
  await client.views.open({ trigger_id: shortcut.trigger_id, view });
});

app.shortcut("quote", async ({ ack, shortcut, respond }) => {
  await ack();
  await respond({ response_type: "in_channel", text: `Quoted: ${shortcut.message.text}` });
});

app.event("app_home_opened", async ({ event, client }) => {
  await client.views.publish({ user_id: event.user, view: { type: "home", blocks: [{ type: "section", text: plain("Welcome home") }] } });
});

// A response URL works five times.
app.command("/many", async ({ ack, respond, say }) => {
  await ack();
  const outcomes = [];
  for (let i = 1; i <= 6; i++) outcomes.push(await tried(() => respond({ text: `use ${i}` })));
  await say(`Responses: ${outcomes.join(" ")}`);
});

// What a command hands out, kept for later.
let kept = null;
app.command("/keep", async ({ ack, respond, command }) => {
  kept = { respond, trigger: command.trigger_id };
  await ack("Kept.");
});

app.message("respond now", async ({ say }) => say(`Respond: ${await tried(() => kept.respond({ text: "late" }))}`));

app.message("open now", async ({ say, client }) => {
  const first = await tried(() => client.views.open({ trigger_id: kept.trigger, view }));
  const again = await tried(() => client.views.open({ trigger_id: kept.trigger, view }));
  await say(`Open: ${first} ${again}`);
});

app.error(async (e) => console.error("app error:", code(e.original ?? e)));

process.on("SIGTERM", () => process.exit(0));
await (port ? app.start({ port, host: "127.0.0.1" }) : app.start());
console.log("the app runs");
