"use strict";
// Points on a canvas, and a list of the same documents for people who cannot use it. Texts become
// text nodes, never HTML.

const data = JSON.parse(document.getElementById("data").textContent);
const { x, y, ids, texts, question } = data;
const total = ids.length;
const MARGIN = 28; // pixels around the points when all are shown
const LISTED = 50; // documents of the list at a time
const [NEAR, NEAR_FINGER] = [12, 24]; // pixels around a point that select it

const byId = (id) => document.getElementById(id);
const map = byId("map");
const ground = document.createElement("canvas"); // everything that a moving pointer does not change
const number = (count) => count.toLocaleString("en");
const documents = (count) => (count === 1 ? "1 document" : `${number(count)} documents`);
const textOf = (point) => (texts ? texts[point] : "");
const folded = (text) => text.normalize("NFC").toLowerCase();
const haystacks = ids.map((id, point) => folded(`${id} ${textOf(point)}`));

// Marked documents: those that the search finds, else those of the question, else null.
let marked = question ? question.nearest : null;
let isMarked = new Uint8Array(total);
let [hovered, selected] = [-1, -1];
let listed = LISTED;

// The view: the place in its middle, and pixels of a unit.
const view = { x: 0, y: 0, scale: 1, whole: 1, isWhole: true };
let [width, height] = [0, 0];

function showAll() {
  const [xs, ys] = question ? [[...x, question.place[0]], [...y, question.place[1]]] : [x, y];
  const [left, right] = xs.reduce(([a, b], v) => [Math.min(a, v), Math.max(b, v)], [xs[0], xs[0]]);
  const [low, high] = ys.reduce(([a, b], v) => [Math.min(a, v), Math.max(b, v)], [ys[0], ys[0]]);
  view.x = (left + right) / 2;
  view.y = (low + high) / 2;
  view.whole = Math.min(
    (width - 2 * MARGIN) / Math.max(right - left, 1),
    (height - 2 * MARGIN) / Math.max(high - low, 1),
  );
  view.scale = view.whole;
  view.isWhole = true;
  redrawAll();
}

const across = (value) => (value - view.x) * view.scale + width / 2;
const down = (value) => height / 2 - (value - view.y) * view.scale;

function zoom(factor, atX = width / 2, atY = height / 2) {
  const scale = Math.min(Math.max(view.scale * factor, view.whole / 2), view.whole * 200);
  // The place under the pointer stays there.
  view.x += (atX - width / 2) * (1 / view.scale - 1 / scale);
  view.y -= (atY - height / 2) * (1 / view.scale - 1 / scale);
  view.scale = scale;
  view.isWhole = false;
  redrawAll();
}

function move(byX, byY) {
  view.x -= byX / view.scale;
  view.y += byY / view.scale;
  view.isWhole = false;
  redrawAll();
}

// Drawing.

const colours = {};

function readColours() {
  // A canvas knows no light-dark(), so the browser computes the colour of each variable.
  const probe = document.createElement("span");
  byId("frame").append(probe);
  for (const name of ["paper", "ink", "quiet", "line", "for", "against"]) {
    probe.style.color = `var(--${name})`;
    colours[name] = getComputedStyle(probe).color;
  }
  probe.remove();
}

function dot(radius, colour, ratio) {
  // Drawn once and copied: thousands of arcs a frame would not be smooth.
  const copy = document.createElement("canvas");
  copy.width = copy.height = Math.ceil(2 * (radius + 1) * ratio);
  const brush = copy.getContext("2d");
  brush.scale(ratio, ratio);
  brush.fillStyle = colour;
  brush.beginPath();
  brush.arc(copy.width / ratio / 2, copy.width / ratio / 2, radius, 0, 2 * Math.PI);
  brush.fill();
  return copy;
}

function drawDots(pen, points, radius, colour, opacity) {
  const ratio = map.width / width;
  const copy = dot(radius, colour, ratio);
  const size = copy.width / ratio;
  pen.globalAlpha = opacity;
  for (const point of points) {
    const [atX, atY] = [across(x[point]), down(y[point])];
    if (atX > -size && atX < width + size && atY > -size && atY < height + size) {
      // Whole pixels need no blending, which saves a third of the time.
      const [left, top] = [atX - size / 2, atY - size / 2].map((at) => Math.round(at * ratio) / ratio);
      pen.drawImage(copy, left, top, size, size);
    }
  }
  pen.globalAlpha = 1;
}

function line(pen, fromX, fromY, toX, toY, colour, thickness) {
  pen.strokeStyle = colour;
  pen.lineWidth = thickness;
  pen.beginPath();
  pen.moveTo(fromX, fromY);
  pen.lineTo(toX, toY);
  pen.stroke();
}

function radius() {
  const grown = Math.min(2.2, Math.max(1, (view.scale / view.whole) ** 0.3));
  const room = Math.sqrt((width * height) / total); // of a point, across
  return Math.min(4.5, Math.max(1.7, 0.17 * room)) * grown;
}

function cleared(canvas) {
  const pen = canvas.getContext("2d");
  pen.setTransform(map.width / width, 0, 0, map.height / height, 0, 0);
  pen.clearRect(0, 0, width, height);
  return pen;
}

function drawGround() {
  const pen = cleared(ground);
  if (data.mean) {
    const [atX, atY] = [Math.round(across(0)) + 0.5, Math.round(down(0)) + 0.5];
    line(pen, atX, 0, atX, height, colours.line, 1);
    line(pen, 0, atY, width, atY, colours.line, 1);
  }
  const others = [...ids.keys()].filter((point) => !isMarked[point]);
  drawDots(pen, others, radius(), colours.quiet, marked ? 0.35 : 0.65);
  if (question) {
    const [atX, atY] = [across(question.place[0]), down(question.place[1])];
    pen.globalAlpha = 0.5;
    for (const point of question.nearest) {
      line(pen, atX, atY, across(x[point]), down(y[point]), colours.against, 1);
    }
    pen.globalAlpha = 1;
  }
  if (marked) {
    drawDots(pen, marked, radius() * 1.5 + 1, colours.paper, 1);
    drawDots(pen, marked, radius() * 1.5, colours.for, 1);
  }
  if (question) {
    drawCross(pen, across(question.place[0]), down(question.place[1]));
  }
}

function drawCross(pen, atX, atY) {
  pen.lineCap = "round";
  for (const [colour, thickness] of [[colours.paper, 7], [colours.against, 3]]) {
    line(pen, atX - 8, atY, atX + 8, atY, colour, thickness);
    line(pen, atX, atY - 8, atX, atY + 8, colour, thickness);
  }
  pen.lineCap = "butt";
}

function draw() {
  const pen = cleared(map);
  pen.drawImage(ground, 0, 0, width, height);
  const point = current();
  if (point >= 0) {
    drawDots(pen, [point], radius() * 1.5, isMarked[point] ? colours.for : colours.ink, 1);
    pen.strokeStyle = colours.ink;
    pen.lineWidth = 2;
    pen.beginPath();
    pen.arc(across(x[point]), down(y[point]), radius() * 1.5 + 4, 0, 2 * Math.PI);
    pen.stroke();
  }
}

let [isAsked, isStale] = [false, true];

function redraw() {
  if (!isAsked) {
    isAsked = true;
    requestAnimationFrame(() => {
      if (isStale) {
        drawGround();
      }
      [isAsked, isStale] = [false, false];
      draw();
      placeCard();
    });
  }
}

function redrawAll() {
  isStale = true;
  redraw();
}

// The document in view: the one under the pointer, else the selected one.

const current = () => (hovered >= 0 ? hovered : selected);

function showCard() {
  const point = current();
  byId("card").hidden = point < 0;
  map.classList.toggle("at-point", hovered >= 0);
  if (point >= 0) {
    byId("card").querySelector(".id").textContent = ids[point];
    byId("card").querySelector(".text").textContent = textOf(point);
  }
  redraw();
}

function placeCard() {
  const [card, point] = [byId("card"), current()];
  if (point >= 0) {
    const [atX, atY] = [across(x[point]), down(y[point])];
    const [wide, tall] = [card.offsetWidth, card.offsetHeight];
    const left = atX + 14 + wide < width ? atX + 14 : atX - 14 - wide;
    const top = atY + 14 + tall < height ? atY + 14 : atY - 14 - tall;
    const within = (value, most) => Math.max(4, Math.min(value, most - 4));
    card.style.transform =
      `translate(${within(left, width - wide)}px, ${within(top, height - tall)}px)`;
  }
}

function hover(point) {
  if (point !== hovered) {
    hovered = point;
    showCard();
  }
}

function select(point) {
  selected = point;
  hovered = -1;
  for (const button of byId("list").querySelectorAll("button")) {
    sayCurrent(button);
  }
  byId("said").textContent = point < 0 ? "" : `${ids[point]}: ${textOf(point)}`;
  if (point >= 0) {
    const [atX, atY] = [across(x[point]), down(y[point])];
    if (atX < 0 || atX > width || atY < 0 || atY > height) {
      [view.x, view.y, view.isWhole] = [x[point], y[point], false];
      redrawAll();
    }
  }
  showCard();
}

function nearest(atX, atY, most) {
  let [found, least] = [-1, most * most];
  for (let point = 0; point < total; point++) {
    const distance = (across(x[point]) - atX) ** 2 + (down(y[point]) - atY) ** 2;
    // Of several points in one place, take one that is marked.
    if (distance < least || (distance === least && found >= 0 && isMarked[point] && !isMarked[found])) {
      [found, least] = [point, distance];
    }
  }
  return found;
}

function step(rightwards, upwards) {
  // Go to the nearest point within 45 degrees of the arrow; of marked points, if there are any.
  const among = marked && marked.length ? marked : ids.keys();
  const [fromX, fromY] = selected >= 0 ? [x[selected], y[selected]] : [view.x, view.y];
  let [found, least] = [-1, Infinity];
  for (const point of among) {
    const [byX, byY] = [x[point] - fromX, y[point] - fromY];
    const along = byX * rightwards + byY * upwards;
    const aside = Math.abs(byX * upwards) + Math.abs(byY * rightwards);
    if (point !== selected && along >= aside && (along > 0 || selected < 0) && along + aside < least) {
      [found, least] = [point, along + aside];
    }
  }
  if (found < 0 && selected < 0) {
    found = nearest(width / 2, height / 2, Infinity);
  }
  if (found >= 0) {
    select(found);
  }
}

// The list.

function heading() {
  if (byId("words").value.trim()) {
    return "Found";
  }
  return question ? "Nearest to the question" : "Documents";
}

function item(point, place) {
  const button = document.createElement("button");
  button.type = "button";
  button.dataset.point = point;
  sayCurrent(button);
  const isRanked = question && marked === question.nearest;
  const id = isRanked ? `${place + 1}. ${ids[point]} · ${question.scores[place].toFixed(4)}` : ids[point];
  for (const [name, text] of [["id", id], ["text", textOf(point)]]) {
    const part = document.createElement("span");
    part.className = name;
    part.textContent = text;
    button.append(part);
  }
  button.addEventListener("click", () => {
    select(point);
    byId("frame").scrollIntoView({ block: "nearest" }); // on a phone the list is far below
  });
  button.addEventListener("pointerenter", () => hover(point));
  button.addEventListener("pointerleave", () => hover(-1));
  const entry = document.createElement("li");
  entry.append(button);
  return entry;
}

function sayCurrent(button) {
  if (Number(button.dataset.point) === selected) {
    button.setAttribute("aria-current", "true");
  } else {
    button.removeAttribute("aria-current");
  }
}

function list() {
  const all = marked ?? [...ids.keys()];
  byId("listed").textContent = heading();
  byId("list").replaceChildren(...all.slice(0, listed).map(item));
  const left = all.length - listed;
  byId("more").hidden = left <= 0;
  byId("more").textContent = `Show ${number(Math.min(left, LISTED))} more of ${number(left)}`;
}

function mark(points) {
  marked = points;
  isMarked = new Uint8Array(total);
  for (const point of points ?? []) {
    isMarked[point] = 1;
  }
  listed = LISTED;
  list();
  redrawAll();
}

function search() {
  const words = folded(byId("words").value).split(/\s+/).filter(Boolean);
  if (!words.length) {
    mark(question ? question.nearest : null);
    byId("count").textContent = documents(total);
    return;
  }
  const holds = (point) => words.every((word) => haystacks[point].includes(word));
  mark([...ids.keys()].filter(holds));
  byId("count").textContent = `${number(marked.length)} of ${documents(total)}`;
}

// Pointers: one moves the map or picks a point, two zoom it.

const pointers = new Map();
let hasMoved = false;

const placeOf = (event) => [event.offsetX, event.offsetY];

map.addEventListener("pointerdown", (event) => {
  map.setPointerCapture(event.pointerId);
  hasMoved = pointers.size > 0;
  pointers.set(event.pointerId, placeOf(event));
});

map.addEventListener("pointermove", (event) => {
  const here = placeOf(event);
  const before = pointers.get(event.pointerId);
  if (!before) {
    hover(nearest(...here, NEAR));
    return;
  }
  const [byX, byY] = [here[0] - before[0], here[1] - before[1]];
  if (!hasMoved && Math.hypot(byX, byY) < 4) {
    return; // a small move is a hand that trembles
  }
  hasMoved = true;
  map.classList.add("moving");
  if (pointers.size === 1) {
    move(byX, byY);
  } else {
    const [, other] = [...pointers].find(([id]) => id !== event.pointerId);
    const apart = (place) => Math.hypot(place[0] - other[0], place[1] - other[1]);
    move(byX / 2, byY / 2);
    zoom(apart(here) / Math.max(apart(before), 1), (here[0] + other[0]) / 2, (here[1] + other[1]) / 2);
  }
  pointers.set(event.pointerId, here);
});

for (const name of ["pointerup", "pointercancel"]) {
  map.addEventListener(name, (event) => {
    if (name === "pointerup" && !hasMoved && pointers.has(event.pointerId)) {
      const point = nearest(...placeOf(event), event.pointerType === "mouse" ? NEAR : NEAR_FINGER);
      select(point);
    }
    pointers.delete(event.pointerId);
    map.classList.remove("moving");
  });
}

map.addEventListener("pointerleave", () => hover(-1));

map.addEventListener(
  "wheel",
  (event) => {
    event.preventDefault();
    const lines = event.deltaMode === 1 ? 16 : 1;
    // Two fingers on a touchpad come as a wheel with Ctrl, and with small numbers.
    zoom(Math.exp(-event.deltaY * lines * (event.ctrlKey ? 0.01 : 0.0015)), ...placeOf(event));
  },
  { passive: false },
);

const KEYS = {
  ArrowRight: () => step(1, 0),
  ArrowLeft: () => step(-1, 0),
  ArrowUp: () => step(0, 1),
  ArrowDown: () => step(0, -1),
  "+": () => zoom(1.5),
  "=": () => zoom(1.5),
  "-": () => zoom(1 / 1.5),
  0: showAll,
  Escape: () => select(-1),
};

map.addEventListener("keydown", (event) => {
  if (KEYS[event.key] && !event.ctrlKey && !event.metaKey && !event.altKey) {
    event.preventDefault();
    KEYS[event.key]();
  }
});

byId("closer").addEventListener("click", () => zoom(1.5));
byId("farther").addEventListener("click", () => zoom(1 / 1.5));
byId("all").addEventListener("click", showAll);
byId("words").addEventListener("input", search);
byId("more").addEventListener("click", () => {
  const first = listed;
  listed += LISTED;
  list();
  byId("list").children[first].firstChild.focus(); // the button may be gone
});

new ResizeObserver(() => {
  [width, height] = [map.clientWidth, map.clientHeight];
  map.width = ground.width = Math.round(width * devicePixelRatio);
  map.height = ground.height = Math.round(height * devicePixelRatio);
  if (view.isWhole) {
    showAll();
  } else {
    redrawAll();
  }
}).observe(map);

matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
  readColours();
  redrawAll();
});

readColours();
search();
