"use strict";
// Forms of the server's page. Texts go into the page as text, never as HTML; the key stays here.

const data = JSON.parse(document.getElementById("data").textContent);
const byId = (id) => document.getElementById(id);
let key = null;
let served = null;

function make(name, attributes = {}, text = null) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  if (text !== null) element.textContent = text;
  return element;
}

function say(id, text, isWrong = false) {
  byId(id).classList.toggle("wrong", isWrong);
  byId(id).textContent = text;
}

// Ask the server, with the key. Throws an Error with the server's own message.
async function ask(path, body, accept = "application/json") {
  const headers = { Accept: accept };
  if (key !== null) headers.Authorization = `Bearer ${key}`;
  if (body !== undefined) headers["Content-Type"] = "application/json";
  const method = body === undefined ? "GET" : "POST";
  let response;
  try {
    response = await fetch(path, { method, headers, body: JSON.stringify(body) });
  } catch {
    throw new Error("The server does not answer. Is it still running?");
  }
  if (response.ok) return accept === "text/html" ? response.text() : response.json();
  let message;
  try {
    const { error, message: other } = await response.json();
    message = error?.message ?? other ?? error;
  } catch {
    message = null;
  }
  const wrong = new Error(message || `The server answered with status ${response.status}.`);
  wrong.status = response.status;
  throw wrong;
}

// Let a form do one thing at a time; `work` returns the text for its status.
function onSubmit(form, status, work) {
  const button = byId(form).querySelector("[type=submit]");
  byId(form).addEventListener("submit", async (event) => {
    event.preventDefault();
    if (button.getAttribute("aria-disabled") === "true") return;
    button.setAttribute("aria-disabled", "true");
    say(status, "Computing …");
    try {
      say(status, await work());
    } catch (error) {
      say(status, error.message, true);
      if (error.status === 401) askForKey();
    } finally {
      button.removeAttribute("aria-disabled");
    }
  });
}

// Two texts.

const count = (number, one, many) => `${number.toLocaleString("en")} ${number === 1 ? one : many}`;

async function scorePair() {
  const [query, text] = [byId("query").value, byId("text").value];
  const model = served.models.find(({ name }) => name === byId("model").value);
  byId("why").hidden = true;
  if (model.kind === "reranker") {
    const { results } = await ask("v1/rerank", { model: model.name, query, documents: [text] });
    const score = results[0].relevance_score.toFixed(4);
    return `${score}. A cross-encoder reads both texts at once: its score is no sum over words.`;
  }
  const body = { model: model.name, query, document: text };
  return show(await ask("v1/explain", body, "text/html"));
}

// Show the page of an explanation, as high as it is; return its score.
function show(html) {
  const frame = byId("why");
  return new Promise((resolve) => {
    frame.onload = () => {
      const page = frame.contentDocument;
      const fit = () => (frame.style.height = `${page.body.offsetHeight + 2}px`);
      new ResizeObserver(fit).observe(page.body);
      fit();
      const [score, metric] = page.querySelector("h1").textContent.split(/ (.*)/);
      resolve(`The score is ${score} (${metric}).`);
    };
    frame.hidden = false;
    frame.srcdoc = html;
  });
}

// The corpus.

async function search() {
  const body = {
    query: byId("question").value,
    k: Number(byId("k").value),
    rerank: byId("rerank").checked,
  };
  byId("hits").replaceChildren();
  const { hits } = await ask("v1/search", body);
  byId("hits").append(...hits.map((hit) => shownHit(body.query, hit)));
  return `${count(hits.length, "document", "documents")}, the nearest first.`;
}

function shownHit(query, { rank, id, score, text }) {
  const item = make("li");
  const about = make("p", { class: "about" });
  about.append(make("span", {}, `${rank}.`), make("span", {}, score.toFixed(4)));
  about.append(make("span", { dir: "auto" }, id));
  if (text !== null) {
    item.append(make("p", { class: "text", dir: "auto" }, text));
    const why = make("button", { type: "button", class: "why", "aria-label": `Why ${id}?` }, "Why?");
    why.addEventListener("click", () => explainHit(query, text));
    about.append(why);
  }
  item.append(about);
  return item;
}

function explainHit(query, text) {
  byId("query").value = query;
  byId("text").value = text;
  byId("model").value = served.corpus.model;
  byId("pair-form").requestSubmit();
  byId("pair-title").scrollIntoView();
  byId("query").focus({ preventScroll: true });
}

// Start.

function askForKey() {
  byId("key-form").hidden = false;
  byId("key").focus();
}

async function start() {
  say("status", "Asking what is served …");
  try {
    served = await ask("v1/served");
  } catch (error) {
    say("status", error.message, true);
    if (error.status === 401) askForKey();
    if (error.status === 503) setTimeout(start, 1000); // the models are being loaded
    return;
  }
  say("status", "");
  byId("key-form").hidden = true;
  byId("tools").hidden = false;
  const models = served.models.filter(({ kind }) => kind !== "classifier");
  byId("pair").hidden = !models.length;
  byId("model").replaceChildren(...models.map(({ name }) => make("option", { value: name }, name)));
  byId("model-field").hidden = models.length < 2;
  byId("search").hidden = !served.corpus;
  if (!served.corpus) return;
  const { documents, model, texts } = served.corpus;
  const reranker = served.models.find(({ kind }) => kind === "reranker");
  byId("corpus").textContent = `${count(documents, "document", "documents")}, by ${model}.`;
  byId("k").max = Math.min(100, documents);
  byId("k").value = Math.min(10, documents);
  byId("rerank-field").hidden = !(reranker && texts);
  if (reranker) byId("reranker").textContent = reranker.name;
}

onSubmit("search-form", "search-status", search);
onSubmit("pair-form", "pair-status", scorePair);
byId("key-form").addEventListener("submit", (event) => {
  event.preventDefault();
  key = byId("key").value;
  start();
});
if (data.needsKey) {
  say("status", "This server asks for a key.");
  askForKey();
} else start();
