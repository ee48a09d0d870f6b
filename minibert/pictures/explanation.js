"use strict";
// Partners of a chosen word, and the X-ray. Texts go into the page as text, never as HTML.

const data = JSON.parse(document.getElementById("data").textContent);
const byId = (id) => document.getElementById(id);
document.documentElement.classList.add("has-script");

function make(name, attributes = {}, text = null) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  if (text !== null) element.textContent = text;
  return element;
}

function drawn(name, attributes, text = null) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  if (text !== null) element.textContent = text;
  return element;
}

// Replace invisible characters by a sign, as svg.py does.
function visible(text) {
  return text
    .replace(/[\u0000-\u001f]/g, (letter) => String.fromCharCode(0x2400 + letter.charCodeAt(0)))
    .replace(/[\u007f-\u009f\u200b\u2028\u2029\ufeff]/g, "\ufffd");
}

function signed(value, decimals) {
  const text = Math.abs(value).toFixed(decimals);
  return Number(text) === 0 ? text : (value < 0 ? "−" : "+") + text;
}

function bytes(base64) {
  return Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0));
}

// Let arrow keys and a pointer move over cells in rows of equal length; call `say` with each cell.
function readable(box, cells, columns, say) {
  let here = -1;
  const go = (index, scroll) => {
    if (here >= 0) cells[here].classList.remove("here");
    here = index;
    cells[here].classList.add("here");
    if (scroll) cells[here].scrollIntoView({ block: "nearest", inline: "nearest" });
    say(Math.floor(here / columns), here % columns);
  };
  const rows = cells.length / columns;
  const steps = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] };
  const clamp = (value, end) => Math.min(Math.max(value, 0), end - 1);
  box.onkeydown = (event) => {
    const row = Math.floor(here / columns);
    const column = here % columns;
    let next;
    if (event.ctrlKey || event.altKey || event.metaKey) return;
    if (steps[event.key]) {
      const [down, right] = steps[event.key];
      next = here < 0 ? 0 : clamp(row + down, rows) * columns + clamp(column + right, columns);
    } else if (event.key === "Home") next = here < 0 ? 0 : row * columns;
    else if (event.key === "End") next = here < 0 ? columns - 1 : row * columns + columns - 1;
    else return;
    event.preventDefault();
    go(next, true);
  };
  const numbers = new Map(cells.map((cell, index) => [cell, index]));
  box.onpointerover = (event) => {
    const index = numbers.get(event.target);
    if (index !== undefined) go(index, false);
  };
  return { again: () => here >= 0 && say(Math.floor(here / columns), here % columns) };
}

// The two texts: a chosen word shades the other text by the contributions of its pairs.

const pairs = new Int16Array(data.words[0].length * data.words[1].length);
{
  const view = new DataView(bytes(data.pairs).buffer);
  for (let n = 0; n < pairs.length; n++) pairs[n] = view.getInt16(2 * n, true);
}
const pair = (query, doc) => pairs[query * data.words[1].length + doc] * data.step;
const wordButtons = ["query", "document"].map((side) => [
  ...document.querySelectorAll(`[data-side=${side}] .word`),
]);
const asTheyWere = wordButtons.map((buttons) =>
  buttons.map((button) => ({
    className: button.className,
    title: button.title,
    strength: button.style.getPropertyValue("--strength"),
  }))
);
let chosenWord = null;

function shade(button, value, scale) {
  button.classList.toggle("against", value < 0);
  button.classList.toggle("for", value >= 0);
  button.style.setProperty("--strength", scale ? (Math.abs(value) / scale).toFixed(3) : "0");
}

function choose(side, word) {
  wordButtons.forEach((buttons, of) =>
    buttons.forEach((button, n) => {
      const { className, title, strength } = asTheyWere[of][n];
      button.className = className;
      button.title = title;
      button.style.setProperty("--strength", strength);
      button.setAttribute("aria-pressed", "false");
    })
  );
  const same = chosenWord && chosenWord[0] === side && chosenWord[1] === word;
  chosenWord = side === null || same ? null : [side, word];
  byId("word-reading").textContent = "";
  if (!chosenWord) return;

  const other = 1 - side;
  const values = data.words[other].map((_, n) => (side === 0 ? pair(word, n) : pair(n, word)));
  const scale = Math.max(...values.map(Math.abs));
  values.forEach((value, n) => {
    shade(wordButtons[other][n], value, scale);
    const title = `with “${visible(data.words[side][word])}”: ${signed(value, data.decimals)}`;
    wordButtons[other][n].title = title;
  });
  wordButtons[side][word].setAttribute("aria-pressed", "true");
  const order = values.map((_, n) => n).sort((a, b) => values[b] - values[a]);
  const named = (n) => `“${visible(data.words[other][n])}” ${signed(values[n], data.decimals)}`;
  const total = values.reduce((sum, value) => sum + value, 0);
  const least = order[order.length - 1];
  byId("word-reading").textContent =
    `“${visible(data.words[side][word])}” gives ${signed(total, data.decimals)}, ` +
    `most with ${order.slice(0, 3).map(named).join(", ")}` +
    (values[least] < 0 ? `; least with ${named(least)}.` : ".");
}

wordButtons.forEach((buttons, side) =>
  buttons.forEach((button, word) => button.addEventListener("click", () => choose(side, word)))
);
document.addEventListener("keydown", (event) => {
  if (event.key === "Escape") choose(null, null);
});

// The heat map is HTML already; the titles of its cells are read out.

{
  const cells = [...document.querySelectorAll("#heat-map .cells rect")];
  const columns = new Set(cells.map((cell) => cell.getAttribute("x"))).size;
  const say = (row, column) => {
    const title = cells[row * columns + column].querySelector("title");
    byId("pair-reading").textContent = title.textContent;
  };
  if (cells.length) readable(byId("heat-map"), cells, columns, say);
}

// The X-ray.

const MEAN = -1;
const shown = { text: 0, layer: 0, head: MEAN, token: null, measure: "moved" };
const weights = data.xrays.map((xray) => bytes(xray.attention));

// Length of a row of weights: one more than the tokens if some are left out.
const across = (xray) => xray.tokens.length + (xray.left_out ? 1 : 0);

function weight(text, layer, head, row, column) {
  const xray = data.xrays[text];
  const at = (n) =>
    (((layer * xray.heads + n) * xray.tokens.length + row) * across(xray)) + column;
  if (head !== MEAN) return (weights[text][at(head)] / 255) ** 2;
  let sum = 0;
  for (let n = 0; n < xray.heads; n++) sum += (weights[text][at(n)] / 255) ** 2;
  return sum / xray.heads;
}

function columnNames(xray) {
  const names = xray.tokens.map(visible);
  return xray.left_out ? [...names, `${xray.left_out} later tokens`] : names;
}

const percent = (value) => `${(100 * value).toFixed(value < 0.0995 ? 1 : 0)} %`;

function drawThumbnail(canvas, head) {
  const xray = data.xrays[shown.text];
  const size = xray.tokens.length;
  canvas.width = canvas.height = size;
  const context = canvas.getContext("2d");
  context.fillStyle = getComputedStyle(canvas).getPropertyValue("color");
  const value = (n) => weight(shown.text, shown.layer, head, Math.floor(n / size), n % size);
  const values = Array.from({ length: size * size }, (_, n) => value(n));
  const most = Math.max(...values);
  values.forEach((value, n) => {
    context.globalAlpha = value / most;
    context.fillRect(n % size, Math.floor(n / size), 1, 1);
  });
}

function drawHeads() {
  const { heads } = data.xrays[shown.text];
  const made = [MEAN, ...Array(heads).keys()].map((head) => {
    const label = make("label");
    const radio = make("input", { type: "radio", name: "head", value: head });
    radio.checked = head === shown.head;
    radio.addEventListener("change", () => {
      shown.head = head;
      drawAttention();
    });
    const canvas = make("canvas", { "aria-hidden": "true" });
    label.append(radio, canvas, make("span", {}, head === MEAN ? "mean" : String(head)));
    return label;
  });
  byId("heads").replaceChildren(...made);
  drawThumbnails();
}

function drawThumbnails() {
  document.querySelectorAll("#heads label").forEach((label) =>
    drawThumbnail(label.querySelector("canvas"), Number(label.querySelector("input").value))
  );
}

function drawTokens() {
  const xray = data.xrays[shown.text];
  const buttons = columnNames(xray).map((name, n) => {
    const apart = n >= xray.tokens.length || xray.special[n];
    const kind = apart ? "word special for" : "word for";
    if (n >= xray.tokens.length) return make("span", { class: kind }, name);
    const button = make("button", { type: "button", class: kind, "aria-pressed": "false" }, name);
    button.addEventListener("click", () => {
      shown.token = shown.token === n ? null : n;
      shadeTokens();
    });
    return button;
  });
  byId("tokens").replaceChildren(...buttons.flatMap((button) => [button, " "]));
}

// Shade the tokens by the weights of the chosen one.
function shadeTokens() {
  const { text, layer, head, token } = shown;
  const xray = data.xrays[text];
  const buttons = [...byId("tokens").children];
  const values = buttons.map((_, n) => (token === null ? 0 : weight(text, layer, head, token, n)));
  const scale = Math.max(...values.slice(0, xray.tokens.length));
  buttons.forEach((button, n) => {
    shade(button, n < xray.tokens.length ? values[n] : 0, scale);
    if (n < xray.tokens.length) button.setAttribute("aria-pressed", String(n === token));
    if (token === null) button.removeAttribute("title");
    else button.title = percent(values[n]);
  });
  const reading = byId("attention-reading");
  if (token === null) {
    reading.textContent = "";
    return;
  }
  const names = columnNames(xray);
  const best = values.map((_, n) => n).sort((a, b) => values[b] - values[a]).slice(0, 4);
  const named = best.map((n) => `“${names[n]}” ${percent(values[n])}`).join(", ");
  reading.textContent = `“${names[token]}” looks most at ${named}.`;
}

const CELL = 18;

function drawMatrix() {
  const xray = data.xrays[shown.text];
  const [rows, columns] = [xray.tokens.map(visible), columnNames(xray)];
  const short = (name) => (name.length > 16 ? name.slice(0, 15) + "…" : name);
  const side = 16 + 8 * Math.max(...columns.map((name) => short(name).length));
  const top = 16 + 0.71 * side;
  const box = byId("attention-map");
  const svg = drawn("svg", {
    class: "picture",
    role: "img",
    "aria-label": "Attention weights",
    width: side + CELL * columns.length + 0.71 * side,
    height: top + CELL * rows.length + 4,
    "font-size": 12,
  });
  rows.forEach((name, n) => {
    const at = { x: side - 6, y: top + CELL * n + 13, "text-anchor": "end" };
    svg.append(drawn("text", at, short(name)));
  });
  columns.forEach((name, n) => {
    const at = `translate(${side + CELL * n + CELL / 2 + 2} ${top - 6}) rotate(-45)`;
    svg.append(drawn("text", { transform: at }, short(name)));
  });
  const values = rows.flatMap((_, row) =>
    columns.map((_, column) => weight(shown.text, shown.layer, shown.head, row, column))
  );
  // The weight of all tokens left out is a sum, and has no colour.
  const isRest = (n) => n % columns.length >= rows.length;
  const most = Math.max(...values.filter((_, n) => !isRest(n)));
  const cells = values.map((value, n) =>
    drawn("rect", {
      class: isRest(n) ? "rest" : "for",
      x: side + CELL * (n % columns.length),
      y: top + CELL * Math.floor(n / columns.length),
      width: CELL - 1,
      height: CELL - 1,
      "fill-opacity": isRest(n) ? 1 : (value / most).toFixed(3),
    })
  );
  const group = drawn("g", { class: "strong" });
  group.append(...cells);
  svg.append(group);
  box.replaceChildren(svg);
  byId("attention-scale").textContent = `Full colour stands for ${percent(most)}.`;
  readable(box, cells, columns.length, (row, column) => {
    const value = percent(values[row * columns.length + column]);
    const which = `“${rows[row]}” looks at “${columns[column]}”`;
    byId("attention-reading").textContent = `${which}: ${value}`;
  });
}

function drawAttention() {
  const { layers } = data.xrays[shown.text];
  const head = shown.head === MEAN ? "mean of heads" : `head ${shown.head}`;
  byId("layer-reading").textContent = `layer.${shown.layer} (0 to ${layers - 1})`;
  byId("attention-map").setAttribute(
    "aria-label",
    `layer.${shown.layer}.attention, ${head}; the arrow keys move from cell to cell`
  );
  drawMatrix();
  shadeTokens();
}

// Describe the state of a token: column 0 is the embeddings, column n is layer n - 1.
function stateReading(xray, token, column) {
  const name = `“${visible(xray.tokens[token])}”`;
  const norm = `norm ${xray.norms[column][token].toFixed(2)}`;
  const nearest = `nearest words: ${xray.nearest[column][token].map(visible).join(", ")}`;
  if (column === 0) return `${name} in embeddings.output: ${norm}; ${nearest}`;
  const layer = column - 1;
  const by = (moved) => moved[layer][token].toFixed(2);
  return (
    `${name} in layer.${layer}.output: ${norm}, moved by ${by(xray.moved)} ` +
    `(attention ${by(xray.by_attention)}, feed-forward ${by(xray.by_feed_forward)}); ${nearest}`
  );
}

function drawStates() {
  const xray = data.xrays[shown.text];
  const table = make("table", { "aria-label": "Nearest word of each state" });
  const head = make("tr");
  head.append(make("th", { scope: "col" }, "token"), make("th", { scope: "col" }, "embeddings"));
  for (let n = 0; n < xray.layers; n++) head.append(make("th", { scope: "col" }, `layer ${n}`));
  const body = make("tbody");
  const cells = [];
  xray.tokens.forEach((token, n) => {
    const row = make("tr");
    row.append(make("th", { scope: "row" }, visible(token)));
    for (let column = 0; column <= xray.layers; column++) {
      const cell = make("td", {}, visible(xray.nearest[column][n][0]));
      cell.title = stateReading(xray, n, column);
      cells.push(cell);
      row.append(cell);
    }
    body.append(row);
  });
  const top = make("thead");
  top.append(head);
  table.append(top, body);
  byId("state-map").replaceChildren(table);
  readable(byId("state-map"), cells, xray.layers + 1, (token, column) => {
    byId("state-reading").textContent = stateReading(xray, token, column);
  });
  shadeStates();
}

// Shade from the smallest value, in the colour of paper, to the largest.
function shadeStates() {
  const xray = data.xrays[shown.text];
  const rows = shown.measure === "moved" ? [null, ...xray.moved] : xray.norms;
  const values = rows.flatMap((row) => row ?? []);
  const [least, most] = [Math.min(...values), Math.max(...values)];
  const cells = [...byId("state-map").querySelectorAll("td")];
  cells.forEach((cell, n) => {
    const row = rows[n % (xray.layers + 1)];
    const value = row ? row[Math.floor(n / (xray.layers + 1))] : least;
    const strength = most > least ? (value - least) / (most - least) : 0;
    cell.style.setProperty("--strength", strength.toFixed(3));
  });
}

function drawXray() {
  const xray = data.xrays[shown.text];
  const note = byId("xray-note");
  note.hidden = !xray.left_out;
  note.textContent = xray.left_out
    ? `Shown are the first ${xray.tokens.length} tokens, so that the page stays small; ` +
      `${xray.left_out} later tokens are left out, and the last column of attention holds what ` +
      "goes to them."
    : "";
  const slider = byId("layer");
  slider.max = xray.layers - 1;
  shown.token = null;
  byId("state-reading").textContent = "";
  drawHeads();
  drawTokens();
  drawAttention();
  drawStates();
}

document.querySelectorAll("[name=xray-text]").forEach((radio) =>
  radio.addEventListener("change", () => {
    shown.text = Number(radio.value);
    drawXray();
  })
);
document.querySelectorAll("[name=shade]").forEach((radio) =>
  radio.addEventListener("change", () => {
    shown.measure = radio.value;
    shadeStates();
  })
);
byId("layer").addEventListener("input", (event) => {
  shown.layer = Number(event.target.value);
  drawThumbnails();
  drawAttention();
});
// Thumbnails are pixels, so they are drawn again when the colours of the page change.
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", drawThumbnails);
drawXray();
